"""The compiled rules of line games equal the tensor rules on random games."""

from typing import Any

import pytest
import torch

from agents.games.line_game import LineGame, LineState
from agents.games.random_play import RandomPlay
from agents.search.dynamics import advance
from lab import jit

pytestmark = pytest.mark.skipif(not jit.available(10**6), reason="numba is not installed")
CPU = torch.device("cpu")
GAMES = [
    LineGame("connect_four", 6, 7, 4, gravity=True),
    LineGame("five columns", 4, 5, 3, gravity=True, exact=True),
    LineGame("tic_tac_toe", 3, 3, 3, gravity=False),
    LineGame("exact", 5, 6, 3, gravity=False, exact=True),
]


def answers(game: LineGame, state: LineState, action: torch.Tensor) -> list[torch.Tensor]:
    after, *results = advance(game, state, action, 0.9)
    return [
        *after,
        *results,
        *(ask(on) for on in (state, after) for ask in (game.legal, game.reward, game.observe, game.key)),
    ]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.name)
def test_random_games_are_equal(game: LineGame, monkeypatch: pytest.MonkeyPatch) -> None:
    play = RandomPlay(game, 100, CPU)
    for ply in range(2 * game.max_plies):
        state: Any = play.state
        action = play._choice()
        if ply % 3 == 0:  # a step of boards that are over changes nothing
            state = game.step(state, action)
        compiled = answers(game, state, action)
        with monkeypatch.context() as patch:
            patch.setattr(jit, "available", lambda rows: False)
            reference = answers(game, state, action)
        for ours, theirs in zip(compiled, reference, strict=True):
            assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
        play()
