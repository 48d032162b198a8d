"""Bots of OpenSpiel as players, and its rules against those of this package."""

import sys

import pytest
import torch

from agents.arena.line import CPU, Line
from agents.arena.match import match
from agents.arena.players import RandomPlayer
from agents.engines.openspiel_bots import parse_bot, spiel_game
from agents.games import Game, make
from lab.errors import UserError

GAMES = [
    make("tic_tac_toe"),
    make("connect_four", rows=5),
    make("othello"),
    make("hex", size=4, swap=False),
    make("hex", size=15, swap=False),
    make("go", size=4, komi=0.5),
    make("breakthrough", rows=6, columns=5),
]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: f"{game.name}-{game.num_actions}")
def test_moves_have_the_same_meaning_there(game: Game) -> None:
    pyspiel = pytest.importorskip("pyspiel")
    found = spiel_game(game)
    assert found is not None
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        line, state = Line(game, game.initial(1, CPU)), pyspiel.load_game(found.name).new_initial_state()
        while not bool(game.done(line.state)[0]):
            legal = game.legal(line.state)[0].nonzero()[:, 0].tolist()
            names = {found.text(game.move_name(line.state, action)): action for action in legal}
            there = found.actions(state)
            assert set(names) == set(there)
            name = sorted(names)[int(torch.randint(len(names), (1,), generator=generator))]
            state.apply_action(there[name])
            line.actions.append(names[name])
        assert state.is_terminal() and state.returns() == game.reward(line.state)[0].tolist()


def test_its_mcts_beats_random_moves_and_repeats_itself() -> None:
    pytest.importorskip("pyspiel")
    game = make("connect_four", rows=4, columns=5)
    results = [match(game, parse_bot("openspiel:mcts=60", game, 0), RandomPlayer(game), games=10) for _ in range(2)]
    assert results[0].total.points >= 8 and results[0] == results[1] and results[0].faults == []
    assert match(game, parse_bot("openspiel:random", game, 0), RandomPlayer(game), games=4).faults == []


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="unknown bot 'openspiel:mcts=0'"):
        parse_bot("openspiel:mcts=0", GAMES[0], 0)
    if "pyspiel" in sys.modules:
        with pytest.raises(UserError, match="OpenSpiel does not have gomoku"):
            parse_bot("openspiel:random", make("gomoku"), 0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(UserError, match="pip install open-spiel"):
        parse_bot("openspiel:random", GAMES[0], 0)
