"""Policy surprise weighting: closed forms of the weights, and the rows that self-play records by them."""

import math

import pytest
import torch
from torch import Tensor

from agents.alphazero.records import FinishedGames, concatenate
from agents.alphazero.surprise import copies, surprise, weights
from agents.games import make
from agents.search.root import Root, SearchResult
from tests.agents.small_alphazero import play_games, selfplay
from tests.same_run import assert_same_bits

TIC_TAC_TOE = make("tic_tac_toe")
EVERY = torch.ones(1, 3, dtype=torch.bool)


def of(policy: list[float], prior: list[float], value: float, before: float) -> list[float]:
    """`surprise` of one root with one more slot that is not legal."""
    one = torch.zeros(1, dtype=torch.int64)
    legal = torch.tensor([[True] * len(prior) + [False]])
    logits = torch.cat([torch.tensor([prior]).log(), torch.tensor([[9.0]])], 1)
    root = Root(None, legal, logits, torch.tensor([before]), one, one)
    after = torch.tensor([[*policy, 0.0]])
    result = SearchResult(one, after, torch.tensor([value]), after, after, one[:, None])
    return surprise(root, result)[0].tolist()


def test_surprise_is_the_kl_divergence_of_policies_and_of_values() -> None:
    found = of([1.0, 0.0], [0.25, 0.75], value=0.5, before=0.0)
    assert found == pytest.approx([math.log(4), 0.75 * math.log(1.5) + 0.25 * math.log(0.5)], rel=1e-5)
    assert of([0.25, 0.75], [0.25, 0.75], value=0.3, before=0.3) == pytest.approx([0.0, 0.0], abs=1e-6)
    assert all(math.isfinite(number) for number in of([1.0, 0.0], [0.0, 1.0], value=1.0, before=-1.0)[1:])


def pairs(policy: list[float], value: list[float]) -> Tensor:
    return torch.tensor([policy, value]).T[None]


def test_weights_are_katagos_formula() -> None:
    found = weights(pairs([0.0, 1.0, 2.0], [0.3, 0.0, 0.0]), EVERY)[0]
    assert found.tolist() == pytest.approx([0.4 + 0.1 * 3, 0.4 + 0.5, 0.4 + 0.5 * 2])


def test_values_that_hardly_change_hardly_count() -> None:
    # A mean of 0.005 nats has half of the share; the uniform part takes the rest.
    found = weights(pairs([1.0, 1.0, 1.0], [0.015, 0.0, 0.0]), EVERY)[0]
    assert found.tolist() == pytest.approx([0.45 + 0.5 + 0.05 * 3, 0.95, 0.95])


def test_cheap_positions_neither_count_nor_change_their_weight() -> None:
    counted = torch.tensor([[True, False, True]])
    found = weights(pairs([1.0, 50.0, 3.0], [0.0, 9.0, 0.0]), counted)[0]
    assert found.tolist() == pytest.approx([0.5 + 0.5 * 0.5, 1.0, 0.5 + 0.5 * 1.5])


def test_a_game_without_surprise_is_recorded_once() -> None:
    assert weights(torch.zeros(1, 3, 2), EVERY).tolist() == [[1.0, 1.0, 1.0]]


def test_copies_have_the_weight_as_mean() -> None:
    weight = torch.tensor([0.3, 1.0, 2.7], dtype=torch.float64).expand(20_000, 3)
    found = copies(weight, 5, torch.arange(20_000))
    assert found.double().mean(0).tolist() == pytest.approx([0.3, 1.0, 2.7], abs=0.015)
    assert found.amin(0).tolist() == [0, 1, 2] and found.amax(0).tolist() == [1, 1, 3]


def played(weighting: bool, boards: int = 16) -> FinishedGames:
    return concatenate(play_games(selfplay(TIC_TAC_TOE, boards=boards, surprise_weighting=weighting), 9))


def test_the_games_stay_the_same_and_only_the_rows_are_chosen() -> None:
    plain, weighted = played(False), played(True)
    assert_same_bits(plain[1:], weighted[1:])
    rows = {tuple(row) for row in torch.cat([plain.positions.planes, plain.positions.outcome[:, None]], 1).tolist()}
    kept = torch.cat([weighted.positions.planes, weighted.positions.outcome[:, None]], 1).tolist()
    assert {tuple(row) for row in kept} < rows
    assert len(kept) == pytest.approx(len(plain.positions), rel=0.25) and len(kept) > len({tuple(r) for r in kept})


def test_the_rows_of_a_game_do_not_depend_on_its_batch() -> None:
    alone, among = played(True, boards=1), played(True, boards=16)
    assert alone.game_id.tolist() == [0] and 0 in among.game_id.tolist()
    rows, found = alone.positions.planes.tolist(), among.positions.planes.tolist()
    assert len(rows) > 3 and any(found[i : i + len(rows)] == rows for i in range(len(found)))
