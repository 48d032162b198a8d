"""A W&B workspace of a kind's metrics as code: a section for each panel of the catalogue.

Built with wandb-workspaces (the extra `dashboard`) without a server; only `publish` contacts one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from lab.errors import UserError
from lab.run import tracking
from lab.run.metrics import Catalogue, Metric

BEST = "best"
_OPEN = (BEST, "eval", "loss")
_LAST = ("speed", "time", "memory")


def sections(catalogue: Catalogue, best: str | None = None) -> list[tuple[str, list[Metric]]]:
    """Panels and their metrics, each metric once: evaluations and losses first, machinery last.

    best: metric that comes first in its panel, as in `evaluate.best`.
    """
    panels: dict[str, list[Metric]] = {}
    for metric in sorted(catalogue.values(), key=lambda metric: metric.name != best):
        panels.setdefault(metric.panel, []).append(metric)

    def place(panel: str) -> int:
        return _OPEN.index(panel) if panel in _OPEN else len(_OPEN) + 1 + _LAST.index(panel) if panel in _LAST else 3

    return [(panel, panels[panel]) for panel in sorted(panels, key=place)]


def workspace(catalogue: Catalogue, *, entity: str, project: str, name: str, best: str | None = None) -> Any:
    """The workspace, a `wandb_workspaces.workspaces.Workspace`. Raises UserError without wandb-workspaces."""
    ws, wr = _libraries()
    graded = [metric for metric in catalogue.values() if metric.higher_is_better is not None and metric.panel == "eval"]
    graded.sort(key=lambda metric: metric.name != best)
    built = [ws.Section(name=BEST, panels=[_bars(wr, metric) for metric in graded], is_open=True)] if graded else []
    for panel, metrics in sections(catalogue, best):
        built.append(ws.Section(name=panel, panels=[_line(wr, one) for one in metrics], is_open=panel in _OPEN))
    try:
        return ws.Workspace(
            entity=entity,
            project=project,
            name=name,
            sections=built,
            settings=ws.WorkspaceSettings(x_axis=tracking.STEP),
        )
    except ValueError as error:
        raise UserError(f"W&B refuses the workspace {name!r}: {_reason(error)}") from None


def specification(built: Any) -> dict[str, Any]:
    """The workspace as W&B stores it, in plain values."""
    model = built._to_model()  # what `save` sends; the library has no public form of it
    return dict(model.model_dump(mode="json", by_alias=True, exclude_none=True))


def publish(catalogue: Catalogue, *, entity: str, project: str, name: str, best: str | None = None) -> str:
    """Create the workspace on W&B's server; returns its address. entity "": $WANDB_ENTITY, else the login's own.

    Raises UserError without a login or a server.
    """
    if not tracking.has_login():
        raise UserError("W&B has no login: set WANDB_API_KEY or run `wandb login`; --out FILE.json needs none")
    _libraries()
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        entity = entity or os.environ.get("WANDB_ENTITY") or tracking.default_entity()
        saved = workspace(catalogue, entity=entity, project=project, name=name, best=best).save()
        return str(saved.url)
    except UserError:
        raise
    except Exception as error:  # the library raises whatever its transport does
        raise UserError(
            f"W&B has not taken the workspace ({_reason(error)}); --out FILE.json needs no server"
        ) from error


def _line(wr: Any, metric: Metric) -> Any:
    return wr.LinePlot(
        title=_title(metric), x=tracking.STEP, y=[metric.name], title_x="iteration", title_y=metric.unit or None
    )


def _bars(wr: Any, metric: Metric) -> Any:
    """The best value of each run, from the summary that `tracking` defines."""
    best = "max" if metric.higher_is_better else "min"
    return wr.BarPlot(title=f"best {metric.name} ({best})", metrics=[wr.SummaryMetric(f"{metric.name}.{best}")])


def _title(metric: Metric) -> str:
    better = {True: " (higher is better)", False: " (lower is better)", None: ""}[metric.higher_is_better]
    return f"{metric.name}{better}"


def _libraries() -> Sequence[Any]:
    try:
        import wandb_workspaces.reports.v2 as reports
        from wandb_workspaces import workspaces
    except ImportError:
        raise UserError("`lab dashboard` needs wandb-workspaces: pip install 'rivals-lab[dashboard]'") from None
    return workspaces, reports


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"] for problem in error.errors())[:300]
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines)[:300]
