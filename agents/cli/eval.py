"""`lab eval` of an AlphaZero run: solved positions, and every line of play of a small game."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.alphazero.agent import Agent, load_agent
from agents.arena.minimax import LineCounts, Solution, play_every_line, solve
from agents.arena.position_evaluation import evaluate_positions
from agents.arena.positions import Positions, read
from agents.arena.shipped import TEST, VALIDATION, shipped, shipped_parts
from agents.arena.tables import lines_table, report_tables
from agents.cli.options import Simulations, progress_bar
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console


class Part(StrEnum):
    validation = VALIDATION
    test = TEST


def evaluate(
    run: Run,
    positions_file: Annotated[
        Path | None,
        typer.Option("--positions", help="Solved positions: position,scores or moves,c1,...,c7.", show_default=False),
    ] = None,
    simulations: Simulations = 64,
    checkpoint: Checkpoint = "best",
    part: Annotated[
        Part | None,
        typer.Option(
            help="Part of the shipped positions: test by default, where there is one; validation chose the checkpoint.",
            show_default=False,
        ),
    ] = None,
    exclude_shipped: Annotated[
        bool,
        typer.Option("--exclude-shipped", help="Leave out the shipped positions, which selected the best checkpoint."),
    ] = False,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Evaluate a run on solved positions: how often its moves keep the game-theoretic outcome.

    Without --positions, the positions of the package are used, if it has some of the game; a game as small as
    tic-tac-toe uses all its positions and every line of play.
    """
    if part is not None and positions_file is not None:
        raise UserError("--part chooses among the shipped positions; omit it, or omit --positions")
    if exclude_shipped and positions_file is None:
        raise UserError("--exclude-shipped needs --positions FILE: without one, only the shipped positions are used")
    agent = load_agent(find_run(run, runs_dir), device_of(device), checkpoint)
    positions, solution, used = _solved_positions(agent, positions_file, part, exclude_shipped)
    with progress_bar("evaluating", len(positions), hidden=as_json) as advance:
        report = evaluate_positions(agent, positions, simulations=simulations, progress=advance)
    lines = None if solution is None else play_every_line(agent, solution, simulations=simulations)
    if as_json:
        record = report.as_json() | {"run": run, "checkpoint": agent.name.partition(":")[2] or "best"}
        record |= {"part": used} if used else {}
        print_json(record if lines is None else record | {"every_line": _lines_json(lines)})
        return
    console = Console()
    about = f" of the {used} part" if used else ""
    console.say(f"{agent.name}: {report.positions:,} positions{about}, {simulations} simulations")
    console.print(report_tables(report))
    if lines is not None:
        console.print(lines_table(lines))


def _solved_positions(
    agent: Agent, file: Path | None, part: Part | None, exclude_shipped: bool
) -> tuple[Positions, Solution | None, str]:
    """The positions, the solution if the game is small enough to solve, and the part of the shipped positions."""
    game, parts = agent.game, shipped_parts(agent.game)
    if file is not None:
        positions = read(file, game)
        if exclude_shipped and parts:
            positions = positions.without(shipped(game))
            if not len(positions):
                raise UserError(f"{file}: all its positions are shipped ones; omit --exclude-shipped")
        return positions, None, ""
    if part is not None and part.value not in parts:
        raise UserError(f"the package has no {part.value} positions of {game.name}; omit --part")
    if parts:
        used = parts[-1] if part is None else part.value
        return shipped(game, used), None, used
    try:
        solution = solve(game)
    except UserError as error:
        raise UserError(f"{error}; give --positions FILE, or measure its strength with lab arena") from error
    return solution.positions(), solution, ""


def _lines_json(lines: Sequence[LineCounts]) -> dict[str, Any]:
    first, second = lines
    return {"first": first._asdict(), "second": second._asdict(), "never_loses": first.lost == second.lost == 0}
