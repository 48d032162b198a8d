"""`lab milestones`: the table of milestones, and one of them with its theory beside its measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any

import typer
from rich.table import Table

from lab.cli.arguments import Json, print_json
from lab.config.limits import LARGEST_SEED
from lab.errors import UserError
from lab.milestones.report import Milestone, Report
from lab.milestones.table import MILESTONES, find
from lab.plots.images import save_png
from lab.terminal.consoles import Console
from lab.terminal.streams import say


def milestones(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A milestone; without it the table is printed.", show_default=False),
    ] = None,
    run_all: Annotated[bool, typer.Option("--all", help="Run every milestone, in historical order.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of all random numbers.")] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Directory of the figure, NAME.png.")] = Path("milestones"),
    as_json: Json = False,
) -> None:
    """Run a milestone of neural networks: print theory beside measurement and write a figure.

    Exit code 1 if a measurement disagrees with the theory.
    """
    if name is not None and run_all:
        raise UserError(f"--all runs every milestone, {name} too: leave one of them out")
    if name is None and not run_all:
        _print_table(as_json)
        return
    chosen = MILESTONES if name is None else (find(name),)
    _make_directory(out)
    reports = [_run(milestone, seed=seed, out=out, quiet=as_json) for milestone in chosen]
    if as_json:
        print_json({"milestones": [_record(one, report, out) for one, report in zip(chosen, reports, strict=True)]})
    wrong = [
        f"{milestone.name}: {finding.name}"
        for milestone, report in zip(chosen, reports, strict=True)
        for finding in report.findings
        if not finding.agrees
    ]
    if wrong:
        if not as_json:
            say(f"{len(wrong)} of the findings disagree with theory: {'; '.join(wrong)}")
        raise typer.Exit(1)


def _print_table(as_json: bool) -> None:
    if as_json:
        print_json({"milestones": [_description(milestone) for milestone in MILESTONES]})
        return
    table = Table("name", "year", "title", "minutes", "source", box=None, pad_edge=False, header_style="bold")
    for one in MILESTONES:
        table.add_row(one.name, str(one.year), one.title, str(one.minutes), one.source)
    _console().print(table)


def _run(milestone: Milestone, *, seed: int, out: Path, quiet: bool) -> Report:
    def line(text: str) -> None:
        if not quiet:
            say(text)

    line(f"{milestone.title} ({milestone.year}). {milestone.source}")
    report = milestone.run(seed, line)
    if not quiet:
        _print_findings(report)
        for note in report.notes:
            say(f"note: {note}")
    figure = _figure(milestone, out)
    save_png(figure, report.figure)  # last: findings of minutes are printed even where the figure cannot be written
    line(f"figure: {figure}\n")
    return report


def _print_findings(report: Report) -> None:
    table = Table("finding", "theory", "measured", "agrees", box=None, pad_edge=False, header_style="bold")
    for finding in report.findings:
        table.add_row(finding.name, finding.theory, finding.measured, "yes" if finding.agrees else "NO")
    _console().print(table)


def _console() -> Console:
    console = Console()
    # A file or a pipe has no width: one line for each row, which `grep` finds whole.
    return console if console.is_terminal else Console(width=1000)


def _record(milestone: Milestone, report: Report, out: Path) -> dict[str, Any]:
    findings = [
        {"name": one.name, "theory": one.theory, "measured": one.measured, "agrees": one.agrees}
        for one in report.findings
    ]
    notes: Sequence[str] = list(report.notes)
    return _description(milestone) | {"findings": findings, "notes": notes, "figure": str(_figure(milestone, out))}


def _description(milestone: Milestone) -> dict[str, Any]:
    return {
        "name": milestone.name,
        "year": milestone.year,
        "title": milestone.title,
        "source": milestone.source,
        "minutes": milestone.minutes,
    }


def _figure(milestone: Milestone, out: Path) -> Path:
    return out / f"{milestone.name}.png"


def _make_directory(out: Path) -> None:
    """Make it, and write to it before anything is computed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}; give a directory that can be written") from error
