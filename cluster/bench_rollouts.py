"""Speed of PPO's rollout workers on Ray, compared with the same number of plain processes."""

import time
from dataclasses import dataclass
from statistics import mean, median

import torch

from agents.environments.factory import describe
from agents.ppo.actors import Actors, LocalActors, make_environments
from agents.ppo.config import PPOConfig
from agents.ppo.network import ActorCritic
from agents.ppo.policy import make_network
from cluster import plain_processes
from cluster.pool.connection import connect
from cluster.workers.rollouts import start
from lab.train import device as devices
from lab.train.device import Device


@dataclass(frozen=True)
class RolloutRow:
    """Environment steps per second of `workers` on Ray and of the same number of plain processes."""

    workers: int
    steps_per_s: float
    plain_steps_per_s: float
    efficiency: float  # steps/s on Ray / steps/s of plain processes, median of the rounds
    speedup: float  # steps/s / steps/s of one worker


@dataclass(frozen=True)
class RolloutSpeed:
    """One benchmark; rates are means over the rounds."""

    env: str
    environments: int
    rollout_steps: int
    threads: int
    rows: list[RolloutRow]


def measure(config: PPOConfig, device: Device, *, seconds: float, rounds: int = 3) -> RolloutSpeed:
    """Measure workers on Ray and plain processes alternately; only one of them runs at a time.

    Both divide the environments of the configuration. Every rollout of the workers is collected with weights that were
    published for it; plain processes have theirs and neither send nor wait.
    """
    counts = range(1, config.cluster.workers + 1)
    on_ray: dict[int, list[float]] = {count: [] for count in counts}
    plain: dict[int, list[float]] = {count: [] for count in counts}
    network = _network(config)
    with connect(config.cluster, device):
        for _ in range(rounds):
            for count in counts:
                plain[count].append(_measure_processes(config, count, seconds))
                cluster = config.cluster.model_copy(update={"workers": count})
                with start(config.model_copy(update={"cluster": cluster}), device) as actors:
                    on_ray[count].append(_measure_actors(actors, network, config, seconds))
    rates = {count: mean(on_ray[count]) for count in counts}
    return RolloutSpeed(
        env=config.env.id,
        environments=config.env.count,
        rollout_steps=config.learner.rollout_steps,
        threads=device.threads,
        rows=[
            RolloutRow(
                workers=count,
                steps_per_s=rates[count],
                plain_steps_per_s=mean(plain[count]),
                efficiency=median(one / other for one, other in zip(on_ray[count], plain[count], strict=True)),
                speedup=rates[count] / rates[1],
            )
            for count in counts
        ],
    )


def run_plain_process(settings: str, number: str, processes: str) -> None:
    """Program of a plain process (`cluster.plain_processes`): its share of the environments."""
    config = PPOConfig.model_validate_json(settings)
    device = devices.resolve("cpu", "fp32", 1)
    devices.apply(device)
    bounds = [config.env.count * (int(number) + end) // int(processes) for end in (0, 1)]
    environments = make_environments(config, range(*bounds))
    network, distribution = make_network(config, environments.spaces)
    actors = LocalActors(environments, network, distribution, config)
    actors.collect()  # warm-up, as for the workers
    seconds = plain_processes.wait_for_start()
    plain_processes.report(_rate(actors, network, seconds))


def _network(config: PPOConfig) -> ActorCritic:
    torch.manual_seed(config.seed)
    return make_network(config, describe(config.env).spaces)[0]


def _measure_processes(config: PPOConfig, count: int, seconds: float) -> float:
    settings = config.model_copy(update={"cluster": type(config.cluster)()}).model_dump_json()
    arguments = [(settings, str(number), str(count)) for number in range(count)]
    return sum(plain_processes.measure("cluster.bench_rollouts:run_plain_process", arguments, seconds))


def _measure_actors(actors: Actors, network: ActorCritic, config: PPOConfig, seconds: float) -> float:
    actors.publish(network)
    actors.collect()  # warm-up: every worker has collected
    return _rate(actors, network, seconds)


def _rate(actors: Actors, network: ActorCritic, seconds: float) -> float:
    """Steps per second of actors that receive new weights before each rollout."""
    steps, begin = 0, time.perf_counter()
    now = begin
    while now - begin < seconds:
        actors.publish(network)
        steps += int(actors.collect().valid.sum())
        now = time.perf_counter()
    return steps / (now - begin)
