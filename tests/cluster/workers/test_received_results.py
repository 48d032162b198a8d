"""No game is counted twice, and no two workers play the same one."""

import itertools

import pytest

from cluster.workers.received_results import MAX_WORKERS, Origin, ReceivedResults, first_game_id


def test_a_result_is_accepted_once() -> None:
    received = ReceivedResults()
    received.next_incarnation(3)
    assert received.accept(Origin(3, 0, 0))
    assert not received.accept(Origin(3, 0, 0))
    assert received.accept(Origin(3, 0, 1))
    assert not received.accept(Origin(3, 0, 0))


def test_what_a_replaced_worker_still_delivers_is_refused() -> None:
    received = ReceivedResults()
    received.next_incarnation(0)
    assert received.accept(Origin(0, 0, 0))
    assert received.next_incarnation(0) == 1
    assert not received.accept(Origin(0, 0, 1))
    assert received.accept(Origin(0, 1, 0))


def test_a_result_that_skips_others_is_an_error() -> None:
    received = ReceivedResults()
    received.next_incarnation(0)
    with pytest.raises(ValueError, match="came before"):
        received.accept(Origin(0, 0, 1))


def test_read_back_it_refuses_what_it_had_received() -> None:
    received = ReceivedResults()
    for worker in (0, 5):
        received.next_incarnation(worker)
        received.accept(Origin(worker, 0, 0))
    other = ReceivedResults()
    other.load_state_dict(received.state_dict())
    assert other.state_dict() == received.state_dict()
    assert not other.accept(Origin(5, 0, 0)) and other.accept(Origin(5, 0, 1))
    assert other.next_incarnation(5) == 1 and other.next_incarnation(0) == 1 and other.next_incarnation(1) == 0


def test_ranges_of_game_ids_do_not_meet_and_fit_in_64_bits() -> None:
    workers, incarnations = (0, 1, 2, MAX_WORKERS - 1), (0, 1, 2, 2**15 - 1)
    firsts = sorted(first_game_id(worker, incarnation) for worker in workers for incarnation in incarnations)
    assert all(later - earlier >= 2**32 for earlier, later in itertools.pairwise(firsts))
    assert firsts[0] >= 2**32 and firsts[-1] + 2**32 <= 2**63
    for worker, incarnation in ((MAX_WORKERS, 0), (0, 2**15)):
        with pytest.raises(ValueError, match="exceed the 64 bits of game ids"):
            first_game_id(worker, incarnation)
