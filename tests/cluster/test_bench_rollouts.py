"""What `lab bench rollouts` reports is what was measured."""

import pytest

from cluster.bench_rollouts import measure
from tests.agents.ppo.five_environments import DEVICE, config


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_workers_and_plain_processes_are_measured() -> None:
    settings = config({"cluster": {"workers": 2, "worker_cpus": 0.25, "worker_threads": 1}})
    speed = measure(settings, DEVICE, seconds=0.5, rounds=1)
    assert (speed.env, speed.environments, speed.rollout_steps) == ("CartPole-v1", 5, 12)
    assert [row.workers for row in speed.rows] == [1, 2]
    for row in speed.rows:
        assert row.steps_per_s > 0 and row.plain_steps_per_s > 0
        assert row.efficiency == pytest.approx(row.steps_per_s / row.plain_steps_per_s)
        assert row.speedup == pytest.approx(row.steps_per_s / speed.rows[0].steps_per_s)
