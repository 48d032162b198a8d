"""`lab bench cluster`: print the speed of self-play by workers on Ray."""

from dataclasses import asdict
from typing import Annotated

import typer

from agents.alphazero.config import AlphaZeroConfig
from cluster.bench import ClusterSpeed, measure
from cluster.cli.tables import print_table
from lab.cli.arguments import Json, print_json
from lab.config.loading import validate
from lab.terminal.consoles import Console
from lab.train import device as devices


def bench_cluster(
    workers: Annotated[int, typer.Option(min=1, help="Largest number of workers; all smaller ones are measured.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, help="Duration of each measurement, s.")] = 10.0,
    game: Annotated[str, typer.Option(help="Game to play.")] = "connect_four",
    channels: Annotated[int, typer.Option(min=1, help="Channels of the network.")] = 32,
    blocks: Annotated[int, typer.Option(min=1, help="Residual blocks of the network.")] = 3,
    boards: Annotated[int, typer.Option(min=1, help="Games that a worker plays at the same time.")] = 128,
    simulations: Annotated[int, typer.Option(min=1, help="Simulations per move.")] = 32,
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
        "selfplay": {"boards": boards, "moves_per_iteration": 2, "opening_plies": _opening_plies(game)},
        "cluster": {"workers": workers, "worker_threads": 1},
    }
    config = validate(AlphaZeroConfig, settings, "bench cluster")
    device = devices.resolve("cpu", "fp32", 1)
    devices.apply(device)
    speed = measure(config, device, seconds=seconds)
    if as_json:
        print_json(asdict(speed))
    else:
        _print(speed)


def _opening_plies(game: str) -> int:
    """Random openings of any length start the games at all stages, so that some end early in the measurement."""
    return validate(AlphaZeroConfig, {"budget": 1, "game": {"name": game}}, "bench cluster").game.make().max_plies - 1


def _print(speed: ClusterSpeed) -> None:
    console = Console()
    console.say(
        f"{speed.game}, {speed.channels} channels x {speed.blocks} blocks, {speed.boards} games per worker, "
        f"{speed.simulations} simulations, {speed.threads} threads per worker"
    )
    rows = [
        [
            str(row.workers),
            f"{row.games_per_s:,.1f}",
            f"{row.moves_per_s:,.0f}",
            f"{row.plain_moves_per_s:,.0f}",
            f"{row.efficiency:.2f}",
            f"{row.speedup:.2f}",
        ]
        for row in speed.rows
    ]
    print_table(["workers", "games/s", "moves/s", "plain processes, moves/s", "efficiency", "speedup"], rows)
    console.say(
        f"one process without Ray: {speed.in_process_moves_per_s:,.0f} moves/s; "
        f"one worker reaches {speed.in_process_ratio:.2f} of it"
    )
    console.say(f"{speed.bytes_per_game:,.0f} bytes per game, {speed.bytes_per_version:,} bytes per weights version")
