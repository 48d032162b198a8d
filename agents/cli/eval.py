"""`lab eval` of an AlphaZero run: solved positions, and every line of play of a small game."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.alphazero.agent import Agent, load_agent
from agents.arena.minimax import LineCounts, Solution, play_every_line, solve
from agents.arena.position_evaluation import evaluate_positions, has_shipped, shipped
from agents.arena.positions import Positions, read
from agents.arena.tables import lines_table, report_tables
from agents.cli.options import Simulations, progress_bar
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console


def evaluate(
    run: Run,
    positions_file: Annotated[
        Path | None, typer.Option("--positions", help="Solved positions: moves,c1,...,c7.", show_default=False)
    ] = None,
    simulations: Simulations = 64,
    checkpoint: Checkpoint = "best",
    exclude_shipped: Annotated[
        bool,
        typer.Option("--exclude-shipped", help="Leave out the shipped positions, which selected the best checkpoint."),
    ] = False,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Evaluate a run on solved positions: how often its moves keep the game-theoretic outcome.

    Without --positions, Connect Four uses the positions of the package; a game as small as tic-tac-toe uses all its
    positions and every line of play.
    """
    if exclude_shipped and positions_file is None:
        raise UserError("--exclude-shipped needs --positions FILE: without one, only the shipped positions are used")
    agent = load_agent(find_run(run, runs_dir), device_of(device), checkpoint)
    positions, solution = _solved_positions(agent, positions_file, exclude_shipped)
    with progress_bar("evaluating", len(positions), hidden=as_json) as advance:
        report = evaluate_positions(agent, positions, simulations=simulations, progress=advance)
    lines = None if solution is None else play_every_line(agent, solution, simulations=simulations)
    if as_json:
        record = report.as_json() | {"run": run, "checkpoint": agent.name.partition(":")[2] or "best"}
        print_json(record if lines is None else record | {"every_line": _lines_json(lines)})
        return
    console = Console()
    console.say(f"{agent.name}: {report.positions:,} positions, {simulations} simulations")
    console.print(report_tables(report))
    if lines is not None:
        console.print(lines_table(lines))


def _solved_positions(agent: Agent, file: Path | None, exclude_shipped: bool) -> tuple[Positions, Solution | None]:
    """The positions, and the solution if the game is small enough to solve."""
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
        raise UserError(f"{error}; give --positions FILE, or measure its strength with lab arena") from error
    return solution.positions(), solution


def _lines_json(lines: Sequence[LineCounts]) -> dict[str, Any]:
    first, second = lines
    return {"first": first._asdict(), "second": second._asdict(), "never_loses": first.lost == second.lost == 0}
