"""Moves as text."""

import pytest

from agents.games import make
from agents.games.moves import move_names, parse_moves


@pytest.mark.parametrize(
    ("name", "moves", "expected"),
    [
        ("connect_four", "443", ["4", "4", "3"]),
        ("chess", "e4 e5 Nf3 b8c6", ["e2e4", "e7e5", "g1f3", "b8c6"]),
        ("go", "d4 pass", ["D4", "pass"]),
    ],
)
def test_moves_in_any_notation_have_the_names_of_the_game(name: str, moves: str, expected: list[str]) -> None:
    game = make(name)
    assert move_names(game, parse_moves(game, moves)) == expected
