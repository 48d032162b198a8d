"""`lab bench games`: the rules of games by random play and inside a search, and the memory of their positions."""

from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from torch import Tensor

from agents.alphazero.records import RecordFormat, row_bytes
from agents.alphazero.search import make_dynamics, make_search
from agents.alphazero.search_config import SearchConfig
from agents.games import Game, game_names, make
from agents.games.random_play import RandomPlay
from agents.search.memory import node_bytes, tree_bytes
from lab.cli.arguments import Json, print_json
from lab.config import yaml_values
from lab.errors import UserError
from lab.run import bench, memory_needs
from lab.run.memory_needs import Need
from lab.terminal.consoles import Console
from lab.train import device as devices
from lab.train.device import Device

_MIXED = 40  # random plies before the measurement, so that boards are in different phases of the game


def bench_games(
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="Options of --game, such as size=9.")
    ] = None,
    game: Annotated[str | None, typer.Option(help="Game to measure.", show_default="all games")] = None,
    batch: Annotated[int, typer.Option(min=1, max=1 << 20, help="Boards at once.")] = 1024,
    simulations: Annotated[int, typer.Option(min=1, max=4096, help="Simulations of a search.")] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Duration of each measurement.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Measure the rules: random plies per second, and plies per second inside a search without a network.

    Also the bytes of a node of a search tree and of a position in the replay buffer.
    """
    if options and game is None:
        raise UserError(f"{options[0]} is an option of a game; name the game with --game")
    target = devices.apply(devices.resolve(device, "fp32", threads))
    chosen = yaml_values.parse_options(options or [], "a game", "size=9")
    games = [make(name, **chosen) for name in ([game] if game else game_names())]
    for each in games:
        trees = Need("the search trees", tree_bytes(each, batch, simulations), "--batch or --simulations")
        memory_needs.check([trees], target)
    record = bench.environment(target) | {"batch": batch, "simulations": simulations}
    record["games"] = measured = []
    console = Console()
    for each in games:
        with console.status(f"{each.name} ..."):
            measured.append(measure(each, batch, simulations, seconds, target))
    if as_json:
        print_json(record)
    else:
        _print(record, measured, console)


def measure(game: Game, batch: int, simulations: int, seconds: float, device: Device) -> dict[str, Any]:
    """The record of one game.

    random_plies_per_s: plies of single games with random legal moves. search_plies_per_s: leaves of searches, each a
    ply of the rules with its observation, where the network is a constant; a random ply lies between two searches.
    node_bytes: a node of a search tree.
    position_bytes, position_bytes_with_state: a position in the replay buffer.
    """
    play = RandomPlay(game, batch, device.device)
    for _ in range(min(_MIXED, game.max_plies)):
        play()
    random_plies = batch * bench.rate(play, seconds, device)
    search = make_search(SearchConfig(simulations=simulations), game=game, device=device.device)
    dynamics = make_dynamics(game, _Uniform(game, device.device), 0, device.device)
    ids = torch.arange(batch, device=device.device)

    def searched() -> None:
        play()  # a search of positions that are known already would measure the cache of a game that has one
        with torch.inference_mode():
            search(dynamics.root(play.state, game_id=ids, ply=game.plies(play.state)), dynamics=dynamics, seed=0)

    searched()
    return {
        "game": game.name,
        "options": dict(game.options),
        "random_plies_per_s": random_plies,
        "search_plies_per_s": batch * simulations * bench.rate(searched, seconds, device),
        "node_bytes": node_bytes(game),
        "position_bytes": row_bytes(game),
        "position_bytes_with_state": row_bytes(game, RecordFormat(states=True)),
    }


class _Uniform:
    """A network that takes no time: all actions are alike and all values 0."""

    def __init__(self, game: Game, device: torch.device) -> None:
        self._logits, self._value = torch.zeros(1, game.num_actions, device=device), torch.zeros(1, device=device)

    def __call__(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return self._logits.expand(len(observation), -1), self._value.expand(len(observation))


def _print(record: dict[str, Any], games: list[dict[str, Any]], console: Console) -> None:
    console.say(
        f"{record['batch']} boards, {record['simulations']} simulations, {record['device']}, "
        f"{record['threads']} threads"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("game")
    for heading in ("random plies/s", "plies/s in a search", "bytes of a tree node", "of a position in replay"):
        table.add_column(heading, justify="right")
    for found in games:
        speeds = (found["random_plies_per_s"], found["search_plies_per_s"])
        table.add_row(
            found["game"],
            *(f"{speed:,.0f}" for speed in speeds),
            f"{found['node_bytes']:,}",
            f"{found['position_bytes']:,}",
        )
    console.print(table)
