"""`lab dashboard`: a W&B workspace with every metric of a kind, made from the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.cli.arguments import RunsDir
from lab.cli.curves import catalogue_of
from lab.cli.options import check_absent, check_suffix_of
from lab.config.loading import load_preset
from lab.config.registry import kind_names
from lab.config.sections import check_project
from lab.errors import UserError
from lab.files import durable
from lab.run import dashboard as building
from lab.run import tracking
from lab.run.lookup import RUNS_DIR, locate_run
from lab.terminal.streams import say


def dashboard(
    what: Annotated[
        str,
        typer.Argument(metavar="KIND_OR_PRESET_OR_RUN", help="Whose metrics the workspace has.", show_default=False),
    ],
    entity: Annotated[
        str, typer.Option(help="W&B entity: a user or team.", show_default="$WANDB_ENTITY, else the login's")
    ] = "",
    project: Annotated[str, typer.Option(help="W&B project.", show_default="that of the runs")] = "",
    name: Annotated[str, typer.Option(help="Name of the workspace.", show_default="KIND metrics")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Write the workspace into this JSON file; no server is asked.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out.")] = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Make a W&B workspace: a section for each panel, a plot for each metric, best values first."""
    if out is not None:
        check_suffix_of("--out", out, (".json",))
        check_absent(out, overwrite)
    if project:
        try:
            check_project(project)
        except ValueError as error:
            raise UserError(f"--project: {error}") from None
    kind, default_project, best = _described(what, runs_dir)
    wanted: dict[str, Any] = {"project": project or default_project, "name": name or f"{kind} metrics", "best": best}
    catalogue = catalogue_of(kind)
    if out is None:
        say(f"workspace {building.publish(catalogue, entity=entity, **wanted)}")
        return
    built = building.workspace(catalogue, entity=entity or "entity", **wanted)
    with durable.replacing(out) as temporary:
        temporary.write_text(json.dumps(building.specification(built), indent=2) + "\n", encoding="utf-8")
    say(f"workspace {wanted['name']} of project {wanted['project']} in {out}")


def _described(what: str, runs_dir: Path) -> tuple[str, str, str | None]:
    """The kind, its project and its evaluate.best."""
    if what in kind_names():
        return what, tracking.default_project(what), None
    run = locate_run(what, runs_dir)
    config = load_preset(what if run is None else str(run / "config.yaml"), [])
    return config.kind, tracking.project_of(config), config.evaluate.best
