"""Bots of OpenSpiel as players, in processes of their own, and its rules against those of this package."""

import importlib.util

import pytest
import torch

from agents.arena.line import CPU
from agents.arena.match import Pairing, play_pairings
from agents.arena.openings import openings
from agents.arena.players import RandomPlayer
from agents.engines.openspiel import spiel_name
from agents.engines.openspiel_gtp import SpielEngine
from agents.engines.specs import parse_engine
from agents.games import Game, make
from lab.errors import UserError

GAMES = [
    make("tic_tac_toe"),
    make("connect_four", rows=5),
    make("othello"),
    make("hex", size=4, swap=False),
    make("hex", size=15, swap=False),
    make("go", size=4, komi=0.5),
]
needs_openspiel = pytest.mark.skipif(importlib.util.find_spec("pyspiel") is None, reason="OpenSpiel is not installed")


def played(word: str, game: Game, games: int) -> Pairing:
    with parse_engine(word, game).player(game, seed=0) as player:
        starts = openings(game, games // 2, seed=0)
        return play_pairings(game, [player, RandomPlayer(game)], [(0, 1)], starts, concurrency=2)[0]


@needs_openspiel
@pytest.mark.parametrize("game", GAMES, ids=lambda game: f"{game.name}-{game.num_actions}")
def test_moves_of_both_sides_have_the_same_meaning_there(game: Game) -> None:
    name = spiel_name(game)
    assert name is not None
    engine, generator = SpielEngine(name, "random"), torch.Generator().manual_seed(0)
    state, colours = game.initial(1, CPU), ("black", "white")
    while not bool(game.done(state)[0]):
        ply = int(game.plies(state)[0])
        legal = game.legal(state)[0].nonzero()[:, 0].tolist()
        action = legal[int(torch.randint(len(legal), (1,), generator=generator))]
        if ply % 3:
            assert engine.answer(f"play {colours[ply % 2]} {game.move_name(state, action)}") == "= \n"
        else:
            answer = engine.answer(f"genmove {colours[ply % 2]}")
            assert answer is not None
            chosen = game.find_move(state, answer.removeprefix("=").strip())
            assert chosen in legal
            action = chosen
        state = game.step(state, torch.tensor([action]))
    assert engine.answer("genmove b") == "? the game is over\n"


@needs_openspiel
def test_its_mcts_beats_random_moves_and_repeats_itself() -> None:
    game = make("connect_four", rows=4, columns=5)
    pairings = [played("openspiel:mcts=60", game, 6) for _ in range(2)]
    assert pairings[0].total.points >= 5 and pairings[0].faults == []
    assert [one.actions for one in pairings[0].games] == [one.actions for one in pairings[1].games]


@needs_openspiel
def test_its_random_moves_are_legal_to_the_end() -> None:
    assert played("openspiel:random", make("othello"), 4).faults == []


@needs_openspiel
@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("7 play b 9", "?7 illegal move\n"),
        ("play w 1", "? it is not the turn of w\n"),
        ("genmove", "?"),
        ("fly", "? unknown command\n"),
        ("8 protocol_version", "=8 2\n"),
    ],
)
def test_commands_have_the_answers_of_gtp(line: str, answer: str) -> None:
    found = SpielEngine("connect_four", "random").answer(line)
    assert found is not None and found.startswith(answer)


def test_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="openspiel:mcts=0: use openspiel:mcts=N"):
        parse_engine("openspiel:mcts=0", GAMES[0])
    with pytest.raises(UserError, match="OpenSpiel does not have gomoku"):
        parse_engine("openspiel:random", make("gomoku"))
    monkeypatch.setattr("agents.engines.openspiel.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"rivals-lab\[openspiel\]"):
        parse_engine("openspiel:random", GAMES[0])
