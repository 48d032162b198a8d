"""What `lab bench cluster` reports is what was measured."""

import pytest

from agents.alphazero.agent import make_network
from cluster.bench import measure
from cluster.workers.weights import weights_of
from tests.agents.small_alphazero import DEVICE, config


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_rates_and_bytes_are_those_of_the_games_played() -> None:
    # No games are recorded: with so few boards their records would be half of the bytes.
    settings = config(cluster={"workers": 2, "worker_cpus": 0.25, "worker_threads": 1}, selfplay={"recorded_boards": 0})
    speed = measure(settings, DEVICE, seconds=0.5, rounds=1)
    assert [row.workers for row in speed.rows] == [1, 2]
    for row in speed.rows:
        assert row.games_per_s < row.moves_per_s and 0 < row.plain_games_per_s < row.plain_moves_per_s
        assert row.efficiency == pytest.approx(row.moves_per_s / row.plain_moves_per_s)
        assert row.speedup == pytest.approx(row.moves_per_s / speed.rows[0].moves_per_s)
    assert speed.in_process_ratio == pytest.approx(speed.rows[0].moves_per_s / speed.in_process_moves_per_s)
    assert speed.bytes_per_version == sum(
        array.nbytes for array in weights_of(make_network(settings, settings.game.make())).values()
    )
    position = 3 + 2 * 9 + 1 + 2 + 4  # packed planes, policy, outcome, search value, version
    assert 3 * position < speed.bytes_per_game < 9 * position + 32
