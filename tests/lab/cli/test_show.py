"""`lab show`: the table and curves of a run, from its metrics alone."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.config.registry import KINDS
from lab.run.metrics import Entry, MetricsLog
from tests.lab import counting_kind


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "counting", counting_kind.KIND)


@pytest.fixture
def run() -> Path:
    """A run directory with nothing but its configuration and metrics."""
    path = Path(os.environ["LAB_RUNS"]) / "a"
    path.mkdir()
    (path / "config.yaml").write_text("kind: counting\nbudget: 12\n")
    with MetricsLog(path / "metrics.jsonl") as log:
        for iteration, half in enumerate([1.0, 5.0, 3.0], start=1):
            values = {"count/half": half, "time/iteration_s": 0.5 / iteration, "extra/unlisted": math.nan}
            log.append(iteration, {"steps": 2 * iteration}, values, 1.5 * iteration)
        log.append(4, {"steps": 8}, {"extra/unlisted": 7.0}, 75.0)
    return path


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["show", "a", *options]) == 0
    return capsys.readouterr().out


def row(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(name))


def test_the_table_has_latest_best_unit_and_meaning(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys)
    assert row(text, "count/half") == ["count/half", "3", "5", "2", "steps", "half", "the", "steps"]
    assert row(text, "time/iteration_s")[1:5] == ["0.1667", "0.1667", "3", "s"]


def test_a_metric_missing_from_the_catalogue_is_still_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert row(shown(capsys), "extra/unlisted") == ["extra/unlisted", "7"]


def test_the_summary_has_counters_and_training_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys).splitlines()[0] == "run a (counting): iteration 4, steps 8, 0:01:15 of training"


def test_graded_metrics_get_a_curve(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys)
    assert "count/half [steps] by iteration" in text
    assert "\x1b" not in text


def test_a_record_that_is_lost_is_told_from_one_that_has_not_begun(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "metrics.jsonl").write_bytes(b"")
    assert "its first iteration has not ended" in shown(capsys)
    (run / "checkpoints" / "000004").mkdir(parents=True)
    (run / "checkpoints" / "000004" / "manifest.json").write_text("{}")
    assert "its metrics are lost: metrics.jsonl is gone or empty" in shown(capsys)


def test_json_is_one_object_and_nothing_else(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(shown(capsys, "--json"))
    assert (report["run"], report["iteration"], report["counters"]) == ("a", 4, {"steps": 8})
    half = report["metrics"]["count/half"]
    assert (half["latest"], half["best"], half["best_iteration"], half["unit"]) == (3.0, 5.0, 2, "steps")
    assert report["metrics"]["extra/unlisted"]["best"] is None


def test_metric_narrows_the_report_and_adds_its_curve(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(shown(capsys, "--json", "--metric", "count/half"))
    assert list(report["metrics"]) == ["count/half"]
    assert report["metrics"]["count/half"]["curve"] == [[1, 1.0], [2, 5.0], [3, 3.0]]


def test_an_unknown_metric_names_the_nearest(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "a", "--metric", "count/halve"]) == 2
    assert "did you mean 'count/half'?" in capsys.readouterr().err


def test_a_half_written_last_line_is_left_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = shown(capsys)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 5, "coun')
    assert shown(capsys) == before


def test_a_run_before_its_first_iteration(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "metrics.jsonl").unlink()
    assert "no metrics yet" in shown(capsys)
    assert json.loads(shown(capsys, "--json"))["metrics"] == {}


def test_a_kind_this_installation_lacks_shows_bare_numbers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "config.yaml").write_text("kind: elsewhere\n")
    assert row(shown(capsys), "count/half") == ["count/half", "3"]


def test_a_gan_shows_its_losses_before_its_speed() -> None:
    from lab.cli.curves import catalogue_of, collect, default_curves

    catalogue = catalogue_of("progressive_gan")
    entries = [Entry(i, {}, {name: 1.0 for name in catalogue if not name.startswith("eval/")}, 1.0) for i in (1, 2)]
    shown_first = [one.metric.name for one in default_curves(collect(entries, catalogue))]
    assert shown_first[:2] == ["loss/discriminator", "loss/generator"]
    entries = [Entry(i, {}, dict.fromkeys(catalogue, 1.0), 1.0) for i in (1, 2)]
    shown_first = [one.metric.name for one in default_curves(collect(entries, catalogue), "eval/swd")]
    assert shown_first[0] == "eval/swd"
    assert [name.split("/")[0] for name in shown_first] == ["eval", "eval", "loss", "loss"]
