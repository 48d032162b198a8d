"""`lab play`: a person against a run in the terminal."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agents.alphazero.agent import load_agent
from agents.arena import play as terminal
from agents.arena.analysis import MAX_SIMULATIONS
from agents.games.game_files import check_suffix, games_text
from lab.cli.arguments import Run, RunsDir
from lab.cli.options import Checkpoint, DeviceName, Overwrite, check_absent, device_of
from lab.files.durable import replacing
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console


class Side(StrEnum):
    first = "first"
    second = "second"


class Strength(StrEnum):
    easy = "easy"
    medium = "medium"
    hard = "hard"


def play(
    run: Run,
    side: Annotated[Side, typer.Option(help="Whether you move first or second.")] = Side.first,
    simulations: Annotated[
        int | None, typer.Option(min=0, max=MAX_SIMULATIONS, help="Simulations per move; replaces --strength.")
    ] = None,
    strength: Annotated[Strength, typer.Option(help="Strength of the agent.")] = Strength.medium,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the games at the end: SGF, PGN of chess, else JSON.")
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    overwrite: Overwrite = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Play against a run in the terminal."""
    place = device_of(device)
    agent = load_agent(find_run(run, runs_dir), place, checkpoint)
    if save is not None:
        check_suffix(save, agent.game)
        check_absent(save, overwrite)
    with suppress(ImportError):
        import readline  # noqa: F401  line editing for `input`
    level = terminal.STRENGTHS[strength.value] if simulations is None else simulations
    session = terminal.GameSession(agent, level, int(side is Side.second), place.device)
    console = Console()
    try:
        terminal.play(session, console, input)
    finally:
        if save is not None and session.games():
            with replacing(save) as temporary:
                temporary.write_text(games_text(session.games()), encoding="utf-8")
            console.say(f"wrote {save}")
