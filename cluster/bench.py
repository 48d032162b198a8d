"""Speed of self-play by workers on Ray, compared with the same number of plain processes and with one process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import mean

import torch

from agents.alphazero.actors import Actors, LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.precision import inference_device
from cluster import plain_processes
from cluster.pool.connection import connect
from cluster.workers.actors import RayActors, start
from lab.train import device as devices
from lab.train.device import Device
from lab.train.measured_precision import PrecisionChoices


@dataclass(frozen=True)
class Row:
    """Speed of `workers` on Ray and of the same number of plain processes."""

    workers: int
    games_per_s: float
    moves_per_s: float
    plain_games_per_s: float
    plain_moves_per_s: float
    efficiency: float  # moves/s on Ray / moves/s of plain processes
    speedup: float  # moves/s / moves/s of one worker


@dataclass(frozen=True)
class ClusterSpeed:
    """One benchmark; rates are means over the rounds. in_process_ratio: moves/s of one worker / of this process."""

    game: str
    channels: int
    blocks: int
    boards: int
    simulations: int
    threads: int
    rows: list[Row]
    in_process_moves_per_s: float
    in_process_ratio: float
    bytes_per_game: float
    bytes_per_version: int


@dataclass(frozen=True)
class _Rate:
    games: float
    moves: float


def measure(config: AlphaZeroConfig, device: Device, *, seconds: float, rounds: int = 2) -> ClusterSpeed:
    """Measure workers on Ray, plain processes and this process alternately; only one of them runs at a time."""
    net = _network(config)
    counts = range(1, config.cluster.workers + 1)
    on_ray: dict[int, list[_Rate]] = {count: [] for count in counts}
    plain: dict[int, list[_Rate]] = {count: [] for count in counts}
    in_process: list[_Rate] = []
    per_game: list[float] = []
    weights_mb = 0.0
    with connect(config.cluster, device):
        for _ in range(rounds):
            playing = inference_device(PrecisionChoices(None, device), net, boards=config.selfplay.boards)
            local = LocalActors(config.game.make(), config, net, playing)
            local.poll()  # warm-up, as for the others
            in_process.append(_measure_actors(local, config, seconds))
            for count in counts:
                plain[count].append(_measure_processes(config, count, seconds))
                with _workers(config, net, device, count) as actors:
                    actors.metrics()  # starts the measured interval
                    on_ray[count].append(_measure_actors(actors, config, seconds))
                    measured = actors.metrics()
                weights_mb = measured["cluster/weights_mb"]
                if on_ray[count][-1].games:
                    per_game.append(measured["cluster/result_mb_per_s"] * 2**20 / on_ray[count][-1].games)
    moves = {count: mean(rate.moves for rate in on_ray[count]) for count in counts}
    rows = [
        Row(
            workers=count,
            games_per_s=mean(rate.games for rate in on_ray[count]),
            moves_per_s=moves[count],
            plain_games_per_s=mean(rate.games for rate in plain[count]),
            plain_moves_per_s=mean(rate.moves for rate in plain[count]),
            efficiency=moves[count] / mean(rate.moves for rate in plain[count]),
            speedup=moves[count] / moves[1],
        )
        for count in counts
    ]
    in_process_moves = mean(rate.moves for rate in in_process)
    return ClusterSpeed(
        game=config.game.name,
        channels=config.network.channels,
        blocks=config.network.blocks,
        boards=config.selfplay.boards,
        simulations=config.search.simulations,
        threads=device.threads,
        rows=rows,
        in_process_moves_per_s=in_process_moves,
        in_process_ratio=moves[1] / in_process_moves,
        bytes_per_game=mean(per_game) if per_game else 0.0,
        bytes_per_version=round(weights_mb * 2**20),
    )


def run_plain_process(settings: str, first_game_id: str) -> None:
    """Program of a plain process (`cluster.plain_processes`)."""
    config = AlphaZeroConfig.model_validate_json(settings)
    device, net = devices.apply(devices.resolve("cpu", config.precision, 1)), _network(config)
    playing = inference_device(PrecisionChoices(None, device), net, boards=config.selfplay.boards)
    actors = LocalActors(config.game.make(), config, net, playing, int(first_game_id))
    actors.poll()
    rate = _measure_actors(actors, config, plain_processes.wait_for_start())
    plain_processes.report(asdict(rate))


def _network(config: AlphaZeroConfig) -> PolicyValueNet:
    torch.manual_seed(config.seed)
    return make_network(config, config.game.make())


@contextmanager
def _workers(config: AlphaZeroConfig, net: PolicyValueNet, device: Device, count: int) -> Iterator[RayActors]:
    cluster = config.cluster.model_copy(update={"workers": count})
    with start(config.model_copy(update={"cluster": cluster}), device) as actors:
        actors.publish(0, net)
        while len(actors.processes()) < count:  # warm-up: every worker has played
            actors.poll()
        actors.poll()
        yield actors


def _measure_actors(actors: Actors, config: AlphaZeroConfig, seconds: float) -> _Rate:
    before, games = actors.counts(), 0
    begin = now = time.perf_counter()
    while now - begin < seconds:
        games += sum(len(finished.game_id) for finished in actors.poll())
        now = time.perf_counter()
    moves = actors.counts().since(before).roots
    return _Rate(games / (now - begin), moves / (now - begin))


def _measure_processes(config: AlphaZeroConfig, count: int, seconds: float) -> _Rate:
    """Independent processes that start to play at the same time."""
    settings = config.model_copy(update={"cluster": type(config.cluster)()}).model_dump_json()
    arguments = [(settings, str(number << 40)) for number in range(count)]
    found = plain_processes.measure("cluster.bench:run_plain_process", arguments, seconds)
    rates = [_Rate(**rate) for rate in found]
    return _Rate(sum(rate.games for rate in rates), sum(rate.moves for rate in rates))
