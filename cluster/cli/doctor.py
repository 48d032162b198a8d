"""`lab doctor --cluster`: print the checks of a Ray cluster."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from rich.text import Text

from cluster.cli.tables import print_table
from cluster.jobs import job_server
from cluster.jobs.checks import State, check_cluster
from lab.cli.arguments import print_json

_STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(address: str, preset: str, overrides: Sequence[str], working_dir: Path, as_json: bool) -> None:
    """Print the checks of the cluster at `address` ("": the default); exit with 1 if one failed.

    With a preset, its workers are placed and its memory is estimated. Raises UserError for an invalid preset.
    """
    address = job_server.normalize(address or job_server.DEFAULT_ADDRESS)
    checks = list(check_cluster(address, preset, overrides, working_dir))
    problems = [f"{check.name}: {check.detail}" for check in checks if check.state == "fail"]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "checks": [asdict(check) for check in checks]})
    else:
        print_table(
            ["", "check", "result", "fix"],
            [[Text(check.state, _STYLES[check.state]), check.name, check.detail, check.fix] for check in checks],
        )
    if problems:
        raise typer.Exit(1)
