"""`lab arena`: runs, checkpoints and fixed opponents play each other."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.alphazero.agent import Agent, load_agent
from agents.arena.elo import Rating
from agents.arena.game_folder import check_new_folder, save_matches
from agents.arena.match import Pairing, Result, round_robin
from agents.arena.players import AgentPlayer, Player, RandomPlayer
from agents.arena.rollout import RolloutPlayer
from agents.arena.tables import result_tables
from agents.cli.options import Simulations, progress_bar
from agents.games import Game
from lab.cli.arguments import Json, RunsDir, print_json
from lab.cli.options import DeviceName, device_of
from lab.config.limits import LARGEST_SEED
from lab.errors import UserError
from lab.run.checkpoint import numbered
from lab.run.lookup import RUNS_DIR, find_run, locate_run
from lab.terminal.consoles import Console
from lab.train import device as devices

_MAX_ROLLOUTS = 100_000


def arena(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_CHECKPOINT...",
            help="Runs, as NAME, NAME:ITERATION or a path; NAME:all is every checkpoint that the run has kept.",
        ),
    ],
    games: Annotated[
        int, typer.Option(min=2, max=1_000_000, help="Games of each pair, rounded up to an even number.")
    ] = 100,
    simulations: Simulations = 64,
    against: Annotated[
        str, typer.Option(help="More players: random, rollout:N (N simulations), separated by commas; or none.")
    ] = "random",
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of openings and random players.")] = 0,
    save_games: Annotated[
        Path | None,
        typer.Option("--save-games", help="Write all games to this new folder: SGF, PGN of chess, else JSON."),
    ] = None,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Let runs, checkpoints and fixed opponents play each other: results by colour, Elo with 95% intervals.

    Every opening of a few random moves is played with both colours.
    """
    if save_games is not None:
        check_new_folder(save_games)
    place = device_of(device)
    runs = [name for run in runs for name in _each_checkpoint(run, runs_dir)]
    agents = [_load(run, place, runs_dir) for run in runs]
    game = agents[0].game
    for run, agent in zip(runs, agents, strict=True):
        if (agent.game.name, agent.game.options) != (game.name, game.options):
            raise UserError(
                f"{runs[0]} plays {_title(game)} and {run} plays {_title(agent.game)}; give runs of one game"
            )
    players = [*opponents(against, game, seed), *(AgentPlayer(agent, simulations) for agent in agents)]
    names = [player.name for player in players]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is given twice; give each player once")
    if len(players) < 2:
        raise UserError("the arena needs two players; give another run or --against random")
    total = (games + games % 2) * len(players) * (len(players) - 1) // 2
    with progress_bar("playing", total, hidden=as_json) as advance:
        result = round_robin(
            game,
            players,
            games=games,
            seed=seed,
            device=place.device,
            progress=advance,
            keep_games=save_games is not None,
        )
    if save_games is not None:
        save_matches(save_games, result.pairings)
    if as_json:
        print_json(_result_json(result) | {"game": game.name, "simulations": simulations, "seed": seed})
        return
    console = Console()
    console.print(result_tables(result))
    if result.distinct_openings < (games + 1) // 2:
        console.print(
            f"{game.name} has only {result.distinct_openings:,} different openings, so games repeat, "
            "and intervals are too narrow for players without randomness"
        )


def opponents(text: str, game: Game, seed: int) -> list[Player]:
    """The fixed opponents that `text` lists: random, rollout:N, or none. Raises UserError."""
    players: list[Player] = []
    for word in [word.strip() for word in text.split(",")]:
        kind, _, count = word.partition(":")
        if word == "random":
            players.append(RandomPlayer(game, seed))
        elif kind == "rollout" and count.isdecimal() and len(count) < 7 and 1 <= int(count) <= _MAX_ROLLOUTS:
            players.append(RolloutPlayer(game, int(count), seed=seed))
        elif word not in ("", "none"):
            raise UserError(f"unknown opponent {word!r}; use random, rollout:N with N up to {_MAX_ROLLOUTS}, or none")
    return players


def _each_checkpoint(text: str, runs_dir: Path) -> list[str]:
    """NAME:ITERATION of all numbered checkpoints, oldest first, for NAME:all; else the text itself."""
    run = text.removesuffix(":all")
    if run == text or locate_run(text, runs_dir) is not None:
        return [text]
    kept = numbered(find_run(run, runs_dir) / "checkpoints")
    if not kept:
        raise UserError(f"run {run!r} has no numbered checkpoints; checkpoint.keep says how many a run keeps")
    return [f"{run}:{int(path.name)}" for path in reversed(kept)]


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


def _result_json(result: Result) -> dict[str, Any]:
    return {
        "pairings": [_pairing_json(pairing) for pairing in result.pairings],
        "ratings": [_rating_json(rating) for rating in result.ratings],
        "distinct_openings": result.distinct_openings,
    }


def _pairing_json(pairing: Pairing) -> dict[str, Any]:
    results = {"first": pairing.first, "second": pairing.second, "total": pairing.total}
    return {
        "player": pairing.player,
        "opponent": pairing.opponent,
        "games": pairing.total.games,
        "score": pairing.total.points / pairing.total.games,
        **{name: {"won": t.won, "drawn": t.drawn, "lost": t.lost} for name, t in results.items()},
    }


def _rating_json(rating: Rating) -> dict[str, Any]:
    """`bounded` is false where the games bound the strength on one side only; that end is null."""
    low, high = (end if math.isfinite(end) else None for end in (rating.low, rating.high))
    return {"player": rating.name, "elo": rating.elo, "low": low, "high": high, "bounded": rating.bounded}
