"""No game is counted twice, and no two workers play the same one."""

import itertools

import pytest

from cluster.workers.deliveries import MAX_WORKERS, Ledger, Origin, first_game_id


def test_a_result_is_accepted_once() -> None:
    ledger = Ledger()
    ledger.next_incarnation(3)
    assert ledger.accept(Origin(3, 0, 0))
    assert not ledger.accept(Origin(3, 0, 0))
    assert ledger.accept(Origin(3, 0, 1))
    assert not ledger.accept(Origin(3, 0, 0))


def test_what_a_replaced_worker_still_delivers_is_refused() -> None:
    ledger = Ledger()
    ledger.next_incarnation(0)
    assert ledger.accept(Origin(0, 0, 0))
    assert ledger.next_incarnation(0) == 1
    assert not ledger.accept(Origin(0, 0, 1))
    assert ledger.accept(Origin(0, 1, 0))


def test_a_result_that_skips_others_is_an_error() -> None:
    ledger = Ledger()
    ledger.next_incarnation(0)
    with pytest.raises(ValueError, match="came before"):
        ledger.accept(Origin(0, 0, 1))


def test_read_back_it_refuses_what_it_had_received() -> None:
    ledger = Ledger()
    for worker in (0, 5):
        ledger.next_incarnation(worker)
        ledger.accept(Origin(worker, 0, 0))
    other = Ledger()
    other.load_state_dict(ledger.state_dict())
    assert other.state_dict() == ledger.state_dict()
    assert not other.accept(Origin(5, 0, 0)) and other.accept(Origin(5, 0, 1))
    assert other.next_incarnation(5) == 1 and other.next_incarnation(0) == 1 and other.next_incarnation(1) == 0


def test_ranges_of_game_ids_do_not_meet_and_fit_in_64_bits() -> None:
    workers, incarnations = (0, 1, 2, MAX_WORKERS - 1), (0, 1, 2, 2**15 - 1)
    firsts = sorted(first_game_id(worker, incarnation) for worker in workers for incarnation in incarnations)
    assert all(later - earlier >= 2**32 for earlier, later in itertools.pairwise(firsts))
    assert firsts[0] >= 2**32 and firsts[-1] + 2**32 <= 2**63
    for worker, incarnation in ((MAX_WORKERS, 0), (0, 2**15)):
        with pytest.raises(ValueError, match="no room for game ids"):
            first_game_id(worker, incarnation)
