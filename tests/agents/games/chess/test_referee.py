"""Random games and random positions against python-chess."""

import pytest

pytest.importorskip("chess")

from agents.games.chess import chess
from tests.agents.games.chess.referee import random_games
from tests.agents.games.chess.referee_positions import random_positions

LONG_ENOUGH = 3000


@pytest.mark.parametrize("claims", [True, False])
def test_a_few_random_games_agree_with_python_chess(claims: bool) -> None:
    ends = random_games(chess(max_plies=LONG_ENOUGH, claims=claims), 16, claims=claims, seed=5, plies=60)
    assert ends["positions"] > 800


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("claims", [True, False])
def test_random_games_agree_with_python_chess_and_end_in_every_way(claims: bool) -> None:
    ends = random_games(chess(max_plies=LONG_ENOUGH, claims=claims), 300, claims=claims, seed=6, detail=300)
    assert {"checkmate", "stalemate", "insufficient material", "repetition", "moves without progress"} <= set(ends)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("claims", [True, False])
def test_ten_thousand_random_games_agree_with_python_chess(claims: bool) -> None:
    ends = random_games(chess(max_plies=LONG_ENOUGH, claims=claims), 5000, claims=claims, seed=7, detail=1000)
    assert ends["repetition"] > 100


def test_a_few_random_positions_agree_with_python_chess() -> None:
    assert random_positions(150, seed=1)["en passant"] > 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_positions_agree_with_python_chess() -> None:
    seen = random_positions(5000, seed=2)
    assert min(seen[what] for what in ("en passant", "en passant pinned", "double check", "castling", "checkmate")) > 30
