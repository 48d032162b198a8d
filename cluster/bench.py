"""`lab bench cluster`: games per second of workers on Ray, against as many plain processes and against none."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import PolicyValueNet
from cluster.pool.connection import connect
from cluster.workers.actors import RayActors, start
from lab.cli.arguments import Json, print_json
from lab.config.loading import validate
from lab.train import device as devices
from lab.train.device import Device

_PLAIN = "import sys; from cluster.bench import play_plainly; play_plainly(*sys.argv[1:])"


@dataclass(frozen=True)
class Row:
    """Games and moves per second of `workers` on Ray, and of as many plain processes without it."""

    workers: int
    games_per_s: float
    moves_per_s: float
    plain_games_per_s: float
    plain_moves_per_s: float
    efficiency: float  # moves/s on Ray / moves/s of plain processes
    speedup: float  # moves/s / moves/s of one worker


@dataclass(frozen=True)
class ClusterSpeed:
    """One measurement; rates are means of rounds taken in turns. in_process_ratio: one worker / in process."""

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


def bench_cluster(
    workers: Annotated[int, typer.Option(min=1, help="Workers, at most; fewer are measured as well.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Of each of the measurements.")] = 10.0,
    game: Annotated[str, typer.Option(help="Game to play.")] = "connect_four",
    channels: Annotated[int, typer.Option(min=1, help="Channels of the tower.")] = 32,
    blocks: Annotated[int, typer.Option(min=1, help="Residual blocks of the tower.")] = 3,
    boards: Annotated[int, typer.Option(min=1, help="Games that a worker plays at once.")] = 128,
    simulations: Annotated[int, typer.Option(min=1, help="Simulations of a move.")] = 32,
    as_json: Json = False,
) -> None:
    """Measure self-play by workers on Ray, each with one CPU thread, with an untrained network."""
    settings = {
        "budget": 1,
        "device": "cpu",
        "threads": 1,
        "game": {"name": game},
        "network": {"channels": channels, "blocks": blocks},
        "search": {"simulations": simulations},
        "selfplay": {"boards": boards, "moves_per_iteration": 2, "opening_plies": _plies(game)},
        "cluster": {"workers": workers, "worker_threads": 1},
    }
    config = validate(AlphaZeroConfig, settings, "bench cluster")
    device = devices.resolve("cpu", "fp32", 1)
    devices.apply(device)
    speed = measure(config, device, seconds)
    if as_json:
        print_json(asdict(speed))
    else:
        _print(speed)


@dataclass(frozen=True)
class _Rate:
    games: float
    moves: float


def measure(config: AlphaZeroConfig, device: Device, seconds: float, rounds: int = 2) -> ClusterSpeed:
    """Workers on Ray, plain processes and this process, each alone on the machine, in turns."""
    net = _network(config)
    counts = range(1, config.cluster.workers + 1)
    on_ray: dict[int, list[_Rate]] = {count: [] for count in counts}
    plain: dict[int, list[_Rate]] = {count: [] for count in counts}
    here: list[_Rate] = []
    per_game: list[float] = []
    weights_mb = 0.0
    with connect(config.cluster, device):
        for _ in range(rounds):
            local = LocalActors(config.game.make(), config, net, device)
            local.poll()  # as the others have
            here.append(_of_one(local, config, seconds))
            for count in counts:
                plain[count].append(_of_processes(config, count, seconds))
                with _workers(config, net, device, count) as actors:
                    actors.metrics()  # since here
                    on_ray[count].append(_of_one(actors, config, seconds))
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
    in_process = mean(rate.moves for rate in here)
    return ClusterSpeed(
        game=config.game.name,
        channels=config.network.channels,
        blocks=config.network.blocks,
        boards=config.selfplay.boards,
        simulations=config.search.simulations,
        threads=device.threads,
        rows=rows,
        in_process_moves_per_s=in_process,
        in_process_ratio=moves[1] / in_process,
        bytes_per_game=mean(per_game) if per_game else 0.0,
        bytes_per_version=round(weights_mb * 2**20),
    )


def play_plainly(settings: str, first_game_id: str) -> None:
    """A plain process: says that it is ready, then plays for as many seconds as it is told, and prints its rates."""
    config = AlphaZeroConfig.model_validate_json(settings)
    device = devices.resolve("cpu", "fp32", 1)
    devices.apply(device)
    actors = LocalActors(config.game.make(), config, _network(config), device, int(first_game_id))
    actors.poll()
    print("ready", flush=True)
    rate = _of_one(actors, config, float(sys.stdin.readline()))
    print(json.dumps(asdict(rate)), flush=True)


def _network(config: AlphaZeroConfig) -> PolicyValueNet:
    torch.manual_seed(config.seed)
    return make_network(config, config.game.make())


def _plies(game: str) -> int:
    """Openings that spread games over all their stages, so that from the start some end."""
    return validate(AlphaZeroConfig, {"budget": 1, "game": {"name": game}}, "bench cluster").game.make().max_plies - 1


@contextmanager
def _workers(config: AlphaZeroConfig, net: PolicyValueNet, device: Device, count: int) -> Iterator[RayActors]:
    cluster = config.cluster.model_copy(update={"workers": count})
    with start(config.model_copy(update={"cluster": cluster}), device) as parts:
        actors: RayActors = parts["actors"]
        actors.publish(0, net)
        while len(actors.processes()) < count:  # every worker has played before any time is taken
            actors.poll()
        actors.poll()
        yield actors


def _of_one(actors: Any, config: AlphaZeroConfig, seconds: float) -> _Rate:
    before, games = actors.counts(), 0
    begin = now = time.perf_counter()
    while now - begin < seconds:
        games += sum(len(finished.game_id) for finished in actors.poll())
        now = time.perf_counter()
    moves = actors.counts().since(before).leaves / (config.search.simulations + 1)
    return _Rate(games / (now - begin), moves / (now - begin))


def _of_processes(config: AlphaZeroConfig, count: int, seconds: float) -> _Rate:
    """As many processes that know nothing of each other, begun together."""
    settings = config.model_copy(update={"cluster": type(config.cluster)()}).model_dump_json()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PLAIN, settings, str(number << 40)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"a process to compare with ended with {process.wait()}")
        rates = []
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            rates.append(_Rate(**json.loads(process.stdout.readline())))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return _Rate(sum(rate.games for rate in rates), sum(rate.moves for rate in rates))


def _print(speed: ClusterSpeed) -> None:
    console = Console(highlight=False)
    console.print(
        f"{speed.game}, {speed.channels} channels x {speed.blocks} blocks, {speed.boards} games a worker, "
        f"{speed.simulations} simulations, {speed.threads} threads a worker"
    )
    table = Table("workers", "games/s", "moves/s", "plain processes", "efficiency", "of one worker", box=None)
    for row in speed.rows:
        table.add_row(
            str(row.workers),
            f"{row.games_per_s:,.1f}",
            f"{row.moves_per_s:,.0f}",
            f"{row.plain_moves_per_s:,.0f}",
            f"{row.efficiency:.2f}",
            f"{row.speedup:.2f}",
        )
    console.print(table)
    console.print(
        f"in process {speed.in_process_moves_per_s:,.0f} moves/s; one worker {speed.in_process_ratio:.2f} of it"
    )
    console.print(
        f"{speed.bytes_per_game:,.0f} bytes a game, {speed.bytes_per_version:,} bytes a version of the weights"
    )
