"""The verbs of `lab` that concern agents: eval, play and arena."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from agents.alphazero.agent import Agent, load_agent
from agents.arena import play as terminal
from agents.arena.elo import Rating
from agents.arena.match import Pairing, Result, round_robin
from agents.arena.minimax import Lines, Solution, every_line, solve
from agents.arena.players import AgentPlayer, Player, RandomPlayer
from agents.arena.positions import Positions, grade, has_shipped, read, shipped
from agents.arena.rollout import RolloutPlayer
from agents.arena.tables import lines_table, report_tables, result_tables
from agents.games import Game
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, find_run, locate_run
from lab.train import device as devices

_MOST_ROLLOUTS = 100_000

Simulations = Annotated[
    int, typer.Option("--simulations", min=0, max=100_000, help="Simulations a move; 0 is the network alone.")
]


class Side(StrEnum):
    first = "first"
    second = "second"


class Strength(StrEnum):
    easy = "easy"
    medium = "medium"
    hard = "hard"


def evaluate(
    run: Run,
    positions_file: Annotated[
        Path | None, typer.Option("--positions", help="Solved positions: moves,c1,...,c7.", show_default=False)
    ] = None,
    simulations: Simulations = 64,
    checkpoint: Checkpoint = "best",
    exclude_shipped: Annotated[
        bool, typer.Option("--exclude-shipped", help="Leave out positions by which the best checkpoint was chosen.")
    ] = False,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Grade a run on solved positions: how often its moves keep what the position is worth.

    Without --positions: Connect Four on the positions that come with the package, a game as small as
    tic-tac-toe on all its positions and against every line of play.
    """
    if exclude_shipped and positions_file is None:
        raise UserError("--exclude-shipped needs --positions FILE: without one, only the shipped positions are graded")
    agent = load_agent(find_run(run, runs_dir), device_of(device), checkpoint)
    positions, solution = _positions(agent, positions_file, exclude_shipped)
    with _progress("grading", len(positions), hidden=as_json) as advance:
        report = grade(agent, positions, simulations, progress=advance)
    lines = None if solution is None else every_line(agent, solution, simulations)
    if as_json:
        record = report.as_json() | {"run": run, "checkpoint": agent.name.partition(":")[2] or "best"}
        print_json(record if lines is None else record | {"every_line": _lines_json(lines)})
        return
    console = Console(highlight=False)
    console.print(f"{agent.name}: {report.positions:,} positions, {simulations} simulations")
    console.print(report_tables(report))
    if lines is not None:
        console.print(lines_table(lines))


def play(
    run: Run,
    side: Annotated[Side, typer.Option(help="Whether you move first or second.")] = Side.first,
    simulations: Annotated[
        int | None, typer.Option(min=0, max=100_000, help="Simulations a move, in place of --strength.")
    ] = None,
    strength: Annotated[Strength, typer.Option(help="How hard the agent thinks.")] = Strength.medium,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Play against a run in the terminal."""
    place = device_of(device)
    agent = load_agent(find_run(run, runs_dir), place, checkpoint)
    with suppress(ImportError):
        import readline  # noqa: F401  `input` then edits lines
    level = terminal.STRENGTHS[strength.value] if simulations is None else simulations
    sitting = terminal.Sitting(agent, level, int(side is Side.second), place.device)
    terminal.play(sitting, Console(highlight=False), input)


def arena(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN_OR_CHECKPOINT...", help="Runs, as NAME, NAME:ITERATION or a path.")
    ],
    games: Annotated[int, typer.Option(min=2, max=1_000_000, help="Games of each pair, made even.")] = 100,
    simulations: Simulations = 64,
    against: Annotated[
        str, typer.Option(help="More players: random, rollout:N (N simulations), separated by commas; or none.")
    ] = "random",
    seed: Annotated[int, typer.Option(help="Of the openings and of random players.")] = 0,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Let runs, checkpoints and fixed opponents play each other: results by colour, Elo with 95% intervals.

    Every opening of a few random moves is played with both colours.
    """
    place = device_of(device)
    agents = [_load(run, place, runs_dir) for run in runs]
    game = agents[0].game
    for run, agent in zip(runs, agents, strict=True):
        if (agent.game.name, agent.game.options) != (game.name, game.options):
            raise UserError(f"{runs[0]} plays {_title(game)} and {run} plays {_title(agent.game)}: they cannot meet")
    players = [*opponents(against, game, seed), *(AgentPlayer(agent, simulations) for agent in agents)]
    names = [player.name for player in players]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} would play itself: name each player once")
    if len(players) < 2:
        raise UserError("one player alone has nobody to play: give another run or --against random")
    total = (games + games % 2) * len(players) * (len(players) - 1) // 2
    with _progress("playing", total, hidden=as_json) as advance:
        result = round_robin(game, players, games, seed, place.device, progress=advance)
    if as_json:
        print_json(_result_json(result) | {"game": game.name, "simulations": simulations, "seed": seed})
        return
    console = Console(highlight=False)
    console.print(result_tables(result))
    if result.distinct_openings < (games + 1) // 2:
        console.print(
            f"{game.name} has only {result.distinct_openings:,} different openings: games repeat those, "
            "and intervals are too narrow for players without randomness"
        )


def opponents(text: str, game: Game, seed: int) -> list[Player]:
    """The fixed opponents that `text` lists: random, rollout:N, or none. Raises UserError."""
    players: list[Player] = []
    for word in [word.strip() for word in text.split(",")]:
        kind, _, count = word.partition(":")
        if word == "random":
            players.append(RandomPlayer(game, seed))
        elif kind == "rollout" and count.isdecimal() and len(count) < 7 and 1 <= int(count) <= _MOST_ROLLOUTS:
            players.append(RolloutPlayer(game, int(count), seed=seed))
        elif word not in ("", "none"):
            raise UserError(f"unknown opponent {word!r}; use random, rollout:N with N up to {_MOST_ROLLOUTS}, or none")
    return players


def _positions(agent: Agent, file: Path | None, exclude_shipped: bool) -> tuple[Positions, Solution | None]:
    """What to grade on, and the solution of a game small enough to have one."""
    game = agent.game
    if file is not None:
        positions = read(file, game)
        if exclude_shipped and has_shipped(game):
            positions = positions.without(shipped(game))
            if not len(positions):
                raise UserError(f"{file}: all its positions are shipped ones; omit --exclude-shipped")
        return positions, None
    if has_shipped(game):
        return shipped(game), None
    try:
        solution = solve(game)
    except UserError as error:
        raise UserError(f"{error}; give --positions FILE") from error
    return solution.positions(), solution


def _load(text: str, place: devices.Device, runs_dir: Path) -> Agent:
    """The agent of a run (NAME or path), one of its checkpoints (NAME:WHICH) or a checkpoint directory."""
    if locate_run(text, runs_dir) is None:
        if Path(text).is_dir() and Path(text).absolute().parent.name == "checkpoints":
            return load_agent(Path(text).absolute(), place)
        run, colon, which = text.rpartition(":")
        if colon and run:
            return load_agent(find_run(run, runs_dir), place, which)
    return load_agent(find_run(text, runs_dir), place)


def _title(game: Game) -> str:
    return f"{game.name} ({', '.join(f'{k} {v}' for k, v in game.options.items())})"


@contextmanager
def _progress(what: str, total: int, hidden: bool) -> Iterator[Callable[[int], None]]:
    """A bar on the error stream that vanishes at the end; yields the function that advances it."""
    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def _lines_json(lines: Sequence[Lines]) -> dict[str, Any]:
    first, second = lines
    return {"first": first._asdict(), "second": second._asdict(), "never_loses": first.lost == second.lost == 0}


def _result_json(result: Result) -> dict[str, Any]:
    return {
        "pairings": [_pairing_json(pairing) for pairing in result.pairings],
        "ratings": [_rating_json(rating) for rating in result.ratings],
        "distinct_openings": result.distinct_openings,
    }


def _pairing_json(pairing: Pairing) -> dict[str, Any]:
    tallies = {"first": pairing.first, "second": pairing.second, "total": pairing.total}
    return {
        "player": pairing.player,
        "opponent": pairing.opponent,
        "games": pairing.total.games,
        "score": pairing.total.points / pairing.total.games,
        **{name: {"won": t.won, "drawn": t.drawn, "lost": t.lost} for name, t in tallies.items()},
    }


def _rating_json(rating: Rating) -> dict[str, Any]:
    """`bounded` is false where the games bound the strength on one side only; that end is null."""
    low, high = (end if math.isfinite(end) else None for end in (rating.low, rating.high))
    return {"player": rating.name, "elo": rating.elo, "low": low, "high": high, "bounded": rating.bounded}
