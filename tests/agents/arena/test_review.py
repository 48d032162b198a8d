"""Review of games: the losses against a perfect player are the exact ones."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.arena.minimax import Solution, solve
from agents.arena.review import review
from agents.games import make
from agents.games.played import PlayedGame
from agents.games.testing import random_playout
from agents.search.root import SearchResult
from lab.errors import UserError

CPU = torch.device("cpu")
GAME: Any = make("tic_tac_toe")


@cache
def solution() -> Solution:
    return solve(GAME)


def scores(state: Any) -> Tensor:
    """int64 [B, A]: for the mover, the result of best play after each action; -9 where illegal."""
    found, rows = solution(), []
    for key in GAME.key(state).tolist():
        number = int((GAME.key(found.states) == key).nonzero()[0, 0])
        children = found.children[number]
        rows.append(torch.where(children >= 0, -found.score[children.clamp_min(0)].sign(), -9))
    return torch.stack(rows)


@dataclass(frozen=True)
class Perfect:
    """Plays a move that keeps the result of best play, which is its value."""

    name: str = "perfect"
    game: Any = GAME
    device: torch.device = CPU

    def evaluate(self, observation: Tensor) -> Any:
        raise NotImplementedError

    def decide(self, state: Any, simulations: int) -> SearchResult:
        found = scores(state)
        best = found.argmax(1)
        policy = torch.nn.functional.one_hot(best, 9).to(torch.float32)
        slots = torch.arange(9).expand(len(best), -1)
        return SearchResult(best, policy, found.amax(1).to(torch.float32), policy * 0, policy * 0, slots)


def games(count: int) -> list[PlayedGame]:
    playout = random_playout(GAME, count)
    plies = [int(GAME.plies(playout.states[-1])[b]) for b in range(count)]
    moves = [[int(action[b]) for action in playout.actions[: plies[b]]] for b in range(count)]
    return [PlayedGame(GAME, GAME.initial(1, CPU), actions, players=("a", "b")) for actions in moves]


def test_losses_against_a_perfect_player_are_exact() -> None:
    found = 0
    for played in games(12):
        seen: list[int] = []
        reviewed = review(Perfect(), played, 0, seen.append)
        expected = []
        for state, action in zip(played.states(), played.actions, strict=False):
            points = scores(state)[0]
            expected.append(float(points.max() - points[action]) / 2)
        assert [move.loss for move in reviewed.moves] == expected
        assert [move.ply for move in reviewed.worst()] == sorted(
            (ply for ply, loss in enumerate(expected) if loss), key=lambda ply: (-expected[ply], ply)
        )[:5]
        assert [move.player for move in reviewed.moves] == [ply % 2 for ply in range(len(expected))]
        assert reviewed.mean_loss(0) == pytest.approx(sum(expected[::2]) / len(expected[::2]))
        # Every position but the last, and those after the choices that were not played.
        others = [m for m in reviewed.moves if m.best != played.actions[m.ply]]
        assert sum(seen) <= len(expected) + len(others)
        found += sum(loss > 0 for loss in expected)
    assert found > 5


def test_the_comments_and_the_record_are_those_of_the_review() -> None:
    reviewed = review(Perfect(), games(1)[0], 0)
    annotated = reviewed.annotated()
    for move, comment in zip(reviewed.moves, annotated.comments, strict=True):
        assert comment == ("" if move.move == move.best_move else f"best {move.best_move}, loss {move.loss:.1%}")
    record = reviewed.as_json()
    assert record["worst"] == [move.ply for move in reviewed.worst()]
    assert [row["loss"] for row in record["moves"]] == [move.loss for move in reviewed.moves]


def test_a_game_without_moves_is_refused() -> None:
    with pytest.raises(UserError, match="the game has no moves"):
        review(Perfect(), PlayedGame(GAME, GAME.initial(1, CPU), []), 0)
