"""The comparison of games with pgx runs and reports; its figures come from longer runs of the command."""

import pytest

pytest.importorskip("jax", reason="jax is not installed: `make peers` has it")
pytest.importorskip("pgx", reason="pgx is not installed: `make peers` has it")

from tests.bench.games_pgx import GAMES, Settings, compare

pytestmark = pytest.mark.peers


@pytest.mark.timeout(300)
@pytest.mark.parametrize("game", GAMES)
def test_a_short_comparison(game: str) -> None:
    result = compare(Settings(game=game, batch=8, seconds=0.2, rounds=1, threads=1, clock=False))
    assert result["ratio"] == pytest.approx(result["rivals"] / result["pgx"])
