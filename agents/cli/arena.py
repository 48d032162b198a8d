"""`lab arena`: runs, checkpoints, fixed opponents and engines of other programs play each other."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from agents.alphazero.agent import Agent, load_agent
from agents.arena.elo import Rating
from agents.arena.game_folder import check_new_folder, save_matches
from agents.arena.match import Pairing, Result, SequentialResult, round_robin, sequential_match
from agents.arena.openings import openings
from agents.arena.players import AgentLike, AnyPlayer, to_device
from agents.arena.sprt import Sprt
from agents.arena.tables import fault_lines, result_tables, sequential_tables
from agents.cli.arena_players import is_other, opponents, other_player
from agents.cli.options import Simulations, progress_bar
from agents.cli.referee import Referee, seated
from agents.engines.specs import is_engine
from agents.games import Game
from agents.games.game import select
from lab.cli.arguments import Json, RunsDir, print_json
from lab.cli.options import DeviceName, device_of
from lab.config.limits import LARGEST_SEED
from lab.errors import UserError
from lab.run.checkpoint import numbered
from lab.run.lookup import RUNS_DIR, find_run, locate_run
from lab.terminal.consoles import Console
from lab.train import device as devices

_GAMES, _GAMES_OF_A_TEST = 100, 20_000
_MOST_ENGINES = 64
_CHUNK = 512  # openings that a network evaluates at once


def arena(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="PLAYER...",
            help="Runs, as NAME, NAME:ITERATION or a path; NAME:all is every checkpoint that the run has kept. "
            "Engines: gnugo:--level=1, gtp-rhino:level=1, stockfish:skill=0, fairy-stockfish:nodes=100, "
            'gtp:"COMMAND", uci:"COMMAND".',
        ),
    ],
    games: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=1_000_000,
            help="Games of each pair, rounded up to an even number. "
            f"[default: {_GAMES}; with --sprt at most {_GAMES_OF_A_TEST:,}]",
            show_default=False,
        ),
    ] = None,
    simulations: Simulations = 64,
    against: Annotated[
        str | None,
        typer.Option(
            help="More players: random, minimax (small games), rollout:N (N simulations), separated by commas; or "
            "none. [default: random; with engines or --sprt none]",
            show_default=False,
        ),
    ] = None,
    sprt: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="ELO0 ELO1",
            help="Stop as soon as a sequential test decides between two Elo differences of the first player to the "
            "second, with 5% errors.",
        ),
    ] = None,
    balance: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1.0,
            help="Only openings whose value is at most this far from even, as the networks of the runs see it; "
            "1 takes all.",
        ),
    ] = 1.0,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_ENGINES,
            help="Games with engines that are played at the same time, each with a process of its own. "
            "[default: the number of CPUs]",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of openings and random players.")] = 0,
    save_games: Annotated[
        Path | None,
        typer.Option("--save-games", help="Write all games to this new folder: SGF, PGN of chess, else JSON."),
    ] = None,
    referee: Referee = None,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Let runs, checkpoints, fixed opponents and engines play each other: results by colour, Elo with 95% intervals.

    Every opening of a few random moves is played with both colours. An engine that breaks down loses the game.
    """
    if save_games is not None:
        check_new_folder(save_games)
    place = device_of(device)
    test = None if sprt is None else Sprt(*sprt)
    _check_different(runs)
    others = [word for word in runs if is_other(word) and locate_run(word, runs_dir) is None]
    agents = {word: _agents(word, place, runs_dir) for word in runs if word not in others}
    every = [agent for several in agents.values() for agent in several]
    game, given = seated(referee, _common_game(agents), every, simulations)
    if referee is not None and balance < 1.0:
        raise UserError("--balance asks the networks about openings of their own game; omit it, or omit --referee")
    if against is None:
        against = "none" if test is not None or any(map(is_engine, others)) else "random"
    openings_of_pair = ((games or (_GAMES if test is None else _GAMES_OF_A_TEST)) + 1) // 2
    accept = None if balance == 1.0 else partial(_balanced, every, balance)
    together = concurrency or min(os.cpu_count() or 1, _MOST_ENGINES)
    with ExitStack() as stack:
        fixed = opponents(against, game, seed)
        external = [other_player(word, game, seed, stack) for word in others]
        # The first player anchors the ratings, and is the one that a test is about.
        players = (
            [*fixed, *external, *given] if test is None else _in_order(runs, agents, given, others, external, fixed)
        )
        _check(players, test)
        starts = openings(game, openings_of_pair, seed, place.device, accept)
        total = 2 * openings_of_pair * len(players) * (len(players) - 1) // 2
        with progress_bar("playing", total, hidden=as_json) as advance:
            result: Result | SequentialResult
            if test is None:
                result = round_robin(game, players, starts, concurrency=together, progress=advance)
            else:
                result = sequential_match(game, players, starts, test, concurrency=together, progress=advance)
    pairings = result.pairings if isinstance(result, Result) else [result.pairing]
    if save_games is not None:
        save_matches(save_games, pairings)
    if as_json:
        shown = _result_json(result) if isinstance(result, Result) else _sequential_json(result)
        print_json(shown | {"game": game.name, "simulations": simulations, "seed": seed})
        return
    console = Console()
    console.print(result_tables(result) if isinstance(result, Result) else sequential_tables(result))
    for line in fault_lines(pairings):
        console.say(line)
    if result.distinct_openings < max(len(pairing.results) // 2 for pairing in pairings):
        console.say(
            f"{game.name} has only {result.distinct_openings:,} different openings, so games repeat, "
            "and intervals are too narrow for players without randomness"
        )


def _agents(word: str, place: devices.Device, runs_dir: Path) -> list[Agent]:
    """The agents of a word: one, or all checkpoints of a run."""
    return [_load(name, place, runs_dir) for name in _each_checkpoint(word, runs_dir)]


def _common_game(agents: Mapping[str, Sequence[Agent]]) -> Game:
    """The game of all agents. Raises UserError if there are no agents or if they play different games."""
    if not agents:
        raise UserError("give at least one run: its game is what the others play")
    (first, (leader, *_)), *_ = agents.items()
    game = leader.game
    for word, several in agents.items():
        for agent in several:
            if (agent.game.name, agent.game.options) != (game.name, game.options):
                raise UserError(
                    f"{first} plays {_title(game)} and {word} plays {_title(agent.game)}; give runs of one game"
                )
    return game


def _in_order(
    words: Sequence[str],
    agents: Mapping[str, Sequence[Agent]],
    given: Sequence[AnyPlayer],
    others: Sequence[str],
    external: Sequence[AnyPlayer],
    fixed: Sequence[AnyPlayer],
) -> list[AnyPlayer]:
    """Players as the command names them, then those of --against."""
    runs, programs = iter(given), iter(external)
    found: list[AnyPlayer] = []
    for word in words:
        found += [next(programs)] if word in others else [next(runs) for _ in agents[word]]
    return [*found, *fixed]


def _check(players: Sequence[AnyPlayer], test: Sprt | None) -> None:
    _check_different([player.name for player in players])
    if len(players) < 2:
        raise UserError("the arena needs two players; give another run, an engine or --against random")
    if test is not None and len(players) != 2:
        raise UserError(f"--sprt tests one player against another, and there are {len(players)}; give two")


def _check_different(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is given twice; give each player once")


def _balanced(agents: Sequence[AgentLike], largest: float, states: Any) -> Tensor:
    """bool [B]: whether the networks see a value within `largest` of even, on average."""
    rows = torch.arange(len(states[0]), device=states[0].device)
    found = []
    for part in rows.split(_CHUNK):
        some = select(states, part)
        values = [agent.decide(to_device(some, agent.device), 0).value.to(rows.device) for agent in agents]
        found.append(torch.stack(values).mean(0).abs() <= largest)
    return torch.cat(found)


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


def _sequential_json(result: SequentialResult) -> dict[str, Any]:
    test = result.test
    return {
        "pairings": [_pairing_json(result.pairing)],
        "ratings": [_rating_json(rating) for rating in result.ratings],
        "distinct_openings": result.distinct_openings,
        "sprt": {
            "elo0": test.elo0,
            "elo1": test.elo1,
            "alpha": test.alpha,
            "beta": test.beta,
            "llr": result.llr,
            "lower": test.lower,
            "upper": test.upper,
            "accepted": result.decision,
        },
    }


def _pairing_json(pairing: Pairing) -> dict[str, Any]:
    """`pairs`: openings in whose two games `player` had 0, 1/2, 1, 3/2 and 2 points."""
    results = {"first": pairing.first, "second": pairing.second, "total": pairing.total}
    return {
        "player": pairing.player,
        "opponent": pairing.opponent,
        "games": pairing.total.games,
        "score": pairing.total.points / pairing.total.games,
        **{name: {"won": t.won, "drawn": t.drawn, "lost": t.lost} for name, t in results.items()},
        "pairs": [int(count) for count in pairing.pairs],
        "faults": [
            {"player": fault.player, "game": fault.game + 1, "ply": fault.ply, "reason": fault.reason}
            for fault in pairing.faults
        ],
    }


def _rating_json(rating: Rating) -> dict[str, Any]:
    """`bounded` is false where the games bound the strength on one side only; that end is null."""
    low, high = (end if math.isfinite(end) else None for end in (rating.low, rating.high))
    return {"player": rating.name, "elo": rating.elo, "low": low, "high": high, "bounded": rating.bounded}
