"""`lab train`: start a run of a preset, or continue one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.arguments import Overrides, RunsDir
from lab.config import presets
from lab.config.loading import derived, differences, is_resumable, load_preset, load_run_config
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, run_stem

if TYPE_CHECKING:
    from lab.run.run_dir import RunDir


def train(
    preset: Annotated[
        str,
        typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.", show_default=False),
    ],
    overrides: Overrides = None,
    name: Annotated[str, typer.Option(help="Name of the run.", show_default="PRESET-001, -002 ...")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run of that name if it exists.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run of that name.")] = False,
    continue_latest: Annotated[
        bool,
        typer.Option("--continue-latest", help="Continue the preset's newest run if unfinished, else start the next."),
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Train a preset until its budget is reached.

    Ctrl-C stops after the current iteration and leaves a checkpoint; `lab resume` continues from it exactly.
    """
    if resume + overwrite + continue_latest > 1:
        raise UserError("give one of --resume, --overwrite and --continue-latest: they contradict each other")
    if (resume or overwrite) and not name:
        raise UserError("--resume and --overwrite need --name, the name of the run")
    if continue_latest and name:
        raise UserError("--continue-latest chooses the run; to continue a named one use --name with --resume")
    overrides = overrides or []
    config = load_preset(preset, overrides)

    from lab.run.launch import continue_run, start_run
    from lab.run.run_dir import RunDir, restore_replaced

    stem = run_stem(preset)
    if continue_latest and (latest := RunDir.latest_unfinished(runs_dir, stem)) is not None:
        raise typer.Exit(continue_run(latest.path, overrides))
    if resume:
        restore_replaced(runs_dir / name)
    if resume and (runs_dir / name / "config.yaml").is_file():
        _check_same(RunDir.open(runs_dir / name), preset, overrides)
        raise typer.Exit(continue_run(runs_dir / name, overrides))
    name = name or RunDir.next_numbered(runs_dir, stem)
    raise typer.Exit(start_run(config, runs_dir, name, overwrite=overwrite))


def _check_same(run: RunDir, preset: str, overrides: Sequence[str]) -> None:
    """Raise UserError if the stored settings of a run differ from the given ones.

    Settings that are computed from others, such as the budget, are not compared: the run keeps its own.
    """
    asked = load_preset(preset, overrides)
    own = derived(asked, presets.resolve(preset, overrides)) | {"description"}
    keys = differences(load_run_config(run.config_path), asked)
    changed = [key for key in keys if not is_resumable(key) and key not in own]
    if changed:
        raise UserError(
            f"run {run.name!r} was started with another {', '.join(changed)}; `lab resume {run.path}` "
            "continues it as it was, --overwrite replaces it, another --name starts a new run"
        )
