"""`lab watch` of a run of self-play: a game of the agent against itself, in the terminal or as a clip."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from agents.alphazero.agent import load_agent
from agents.arena.play import board_text
from agents.cli.options import Simulations
from agents.games.moves import state_after
from lab.cli.arguments import Run, RunsDir
from lab.cli.options import Checkpoint, DeviceName, Overwrite, check_absent, check_suffix_of, device_of
from lab.plots.clips import CLIPS, save_clip
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console

_PER_SECOND, _LAST_S = 2, 2  # pictures per second, seconds of the last one
_PAPER = 255


def watch(
    run: Run,
    moves: Annotated[str, typer.Argument(help="Moves before the agent's first one.")] = "",
    simulations: Simulations = 64,
    out: Annotated[Path | None, typer.Option("--out", help="Write FILE.mp4 or FILE.gif instead of text.")] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    overwrite: Overwrite = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Show a game of the agent against itself, move by move; it plays without noise."""
    if out is not None:
        check_suffix_of("--out", out, CLIPS)
        check_absent(out, overwrite)
    place = device_of(device)
    agent = load_agent(find_run(run, runs_dir), place, checkpoint)
    game, console = agent.game, Console()
    unicode = console.encoding.lower().startswith("utf")
    state, previous = state_after(game, moves, agent.device), None
    frames = [game.image(state)] if out else []
    while not bool(game.done(state)[0]):
        decision = agent.decide(state, simulations)
        who, name = game.player_names[int(game.player(state)[0])], game.move_name(state, int(decision.action[0]))
        console.say(f"{int(game.plies(state)[0]) + 1}: {who} plays {name} (value {float(decision.value[0]):+.2f})")
        state, previous = game.step(state, decision.action), state
        if out:
            frames.append(game.image(state, 0, previous))
        else:
            console.print(board_text(game, state, previous=previous, unicode=unicode))
    first, second = game.player_names
    console.say({1.0: f"{first} wins", 0.0: "a draw", -1.0: f"{second} wins"}[float(game.reward(state)[0, 0])])
    if out:
        frames += [frames[-1]] * (_PER_SECOND * _LAST_S)
        console.say(f"{out}: {save_clip(out, _of_one_size(frames), _PER_SECOND):,} frames")


def _of_one_size(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Frames with white below and on the right of smaller ones: texts of a game may differ in size."""
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    return [
        np.pad(frame, ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)), constant_values=_PAPER)
        for frame in frames
    ]
