"""`lab dashboard`: a W&B workspace built from the catalogue, checked without a server."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.cli.curves import catalogue_of
from lab.cli.main import main
from lab.config.registry import KINDS
from lab.run import dashboard, tracking

pytest.importorskip("wandb_workspaces")


def made(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    out = tmp_path / "workspace.json"
    assert main(["dashboard", *arguments, "--out", str(out), "--overwrite"]) == 0
    return dict(json.loads(out.read_text()))


def sections(made: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = made["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in found}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_metric_of_a_kind_has_one_plot_in_the_section_of_its_panel(kind: str, tmp_path: Path) -> None:
    catalogue = catalogue_of(kind)
    plots = {
        (name, *panel["config"]["metrics"])
        for name, panels in sections(made(tmp_path, kind)).items()
        if name != dashboard.BEST
        for panel in panels
    }
    assert plots == {(metric.panel, metric.name) for metric in catalogue.values()}


def test_plots_are_by_iteration_with_unit_and_direction(tmp_path: Path) -> None:
    panels = sections(made(tmp_path, "supervised"))["eval"]
    (rmse,) = [panel["config"] for panel in panels if panel["config"]["metrics"] == ["eval/rmse"]]
    assert (rmse["xAxis"], rmse["chartTitle"]) == (tracking.STEP, "eval/rmse (lower is better)")


def test_the_first_section_has_the_best_values_that_the_summary_holds(tmp_path: Path) -> None:
    first, *_ = (found := sections(made(tmp_path, "supervised/diabetes"))).items()
    assert first[0] == dashboard.BEST
    assert list(found)[1:3] == ["eval", "loss"]
    catalogue = catalogue_of("supervised")
    for panel in first[1]:
        (key,) = panel["config"]["metrics"]
        name, _, operation = key.removeprefix("summary_metrics.").rpartition(".")
        assert operation == tracking._summary_of(catalogue[name]).partition(",")[0]
    assert "eval/r2" in first[1][0]["config"]["metrics"][0]  # evaluate.best of the preset


def test_project_entity_and_name_are_those_of_the_configuration_or_as_told(tmp_path: Path) -> None:
    found = made(tmp_path, "supervised/diabetes")
    assert (found["project"], found["displayName"]) == ("rivals-supervised", "supervised metrics")
    found = made(tmp_path, "alphazero", "--entity", "team", "--project", "p", "--name", "[v2] x")
    assert (found["entity"], found["project"], found["displayName"]) == ("team", "p", "[v2] x")


def test_a_run_gives_its_kind_and_project(tmp_path: Path) -> None:
    run = tmp_path / "a"
    run.mkdir()
    (run / "config.yaml").write_text("base: supervised/diabetes\ntracking: {project: own}\n")
    assert made(tmp_path, str(run))["project"] == "own"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "unknown preset"),
        (["alphazero", "--out", "a.yaml"], ".json"),
        (["alphazero", "--out", "exists.json"], "--overwrite"),
        (["alphazero", "--out", "no/\x1b[2J/a.txt"], ".json"),
        (["alphazero", "--name", "party \U0001f389", "--out", "a.json"], "Emojis are not allowed"),
        (["alphazero", "--project", "a/b", "--out", "a.json"], "cannot name a W&B project"),
        (["alphazero", "--project", 300 * "p", "--out", "a.json"], "cannot name a W&B project"),
        (["alphazero", "--project", "\x1b[2J", "--out", "a.json"], "cannot name a W&B project"),
        (["alphazero"], "W&B has no login"),
        (["\x1b[2J"], "unknown preset"),
        ([""], "preset"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    (tmp_path / "exists.json").write_text("kept")
    assert main(["dashboard", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "\x1b" not in error
    assert (tmp_path / "exists.json").read_text() == "kept" and not (tmp_path / "a.json").exists()


def test_without_the_extra_the_line_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["dashboard", "alphazero", "--out", str(tmp_path / "a.json")]) == 2
    assert "rivals-lab[dashboard]" in capsys.readouterr().err


def test_a_login_saves_the_workspace_and_a_refusal_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wandb_workspaces import workspaces

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    saved: list[Any] = []

    def save(self: Any) -> Any:
        saved.append(self)
        if len(saved) > 1:
            raise RuntimeError("no\nserver")
        return self

    monkeypatch.setattr(workspaces.Workspace, "save", save)
    monkeypatch.setattr(workspaces.Workspace, "url", property(lambda self: f"https://w/{self.entity}/{self.project}"))
    assert main(["dashboard", "alphazero", "--entity", "team"]) == 0
    assert "team/rivals-alphazero" in capsys.readouterr().out
    assert main(["dashboard", "alphazero", "--entity", "team"]) == 2
    assert "(no server)" in capsys.readouterr().err
