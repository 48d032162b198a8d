"""`lab resume`: continue a stopped run."""

from __future__ import annotations

import typer

from lab.cli.arguments import Overrides, Run, RunsDir
from lab.run.lookup import RUNS_DIR, find_run


def resume(run: Run, overrides: Overrides = None, runs_dir: RunsDir = RUNS_DIR) -> None:
    """Continue a stopped run exactly from its last checkpoint.

    Only budget, evaluate.patience, evaluate.device, device, threads, cluster.* and tracking.* may be changed: any other
    change would make it another experiment.
    """
    path = find_run(run, runs_dir)
    from lab.run.launch import continue_run

    raise typer.Exit(continue_run(path, overrides or []))
