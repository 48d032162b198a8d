"""`lab runs` and `lab compare`: runs side by side, from their records alone."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.config.registry import KINDS
from lab.run.metrics import MetricsLog
from tests.lab import counting_kind


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "counting", counting_kind.KIND)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def runs() -> Path:
    """Two runs of one kind; b is older, has other settings and no best value."""
    folder = Path(os.environ["LAB_RUNS"])
    write(folder / "a", "kind: counting\nbudget: 12\nrate: 0.1\nevaluate: {best: count/half}\n", [1.0, 5.0, 3.0])
    write(folder / "b", "kind: counting\nbudget: 12\nrate: 0.2\nsearch: {simulations: 9}\n", [2.0, 4.0])
    for path in (folder / "b").iterdir():
        os.utime(path, (time.time() - 7300, time.time() - 7300))
    return folder


def write(path: Path, settings: str, halves: list[float]) -> None:
    path.mkdir()
    (path / "config.yaml").write_text(settings)
    with MetricsLog(path / "metrics.jsonl") as log:
        for iteration, half in enumerate(halves, start=1):
            log.append(iteration, {"steps": 2 * iteration}, {"count/half": half, "time/iteration_s": 1.0}, 1.5)
    if halves:
        save(path, len(halves))


def save(path: Path, iteration: int) -> None:
    """A manifest alone stands for the checkpoint."""
    folder = path / "checkpoints" / f"{iteration:06d}"
    folder.mkdir(parents=True)
    manifest = {"counters": {"steps": 2 * iteration}, "meta": {"progress": "steps"}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def reported(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(shown(capsys, *arguments, "--json"))


def test_runs_are_listed_newest_first_with_progress_best_value_and_age(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *lines = shown(capsys, "runs").splitlines()
    assert head.split() == ["run", "kind", "preset", "done", "best", "age"]
    assert [line.split()[:-2] for line in lines] == [
        ["a", "counting", "50%", "count/half", "5"],
        ["b", "counting", "33%"],
    ]
    assert lines[1].split()[-2:] == ["2", "h"]
    first, second = reported(capsys, "runs")["runs"]
    assert (first["best"], first["best_iteration"], first["progress"], first["iteration"]) == (5.0, 2, 0.5, 3)
    assert (second["best"], second["metric"], second["budget"]) == (None, None, 12)
    assert 7200 < second["age_s"] < 7400


def test_what_a_run_has_done_is_what_it_has_saved(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(runs / "a", 2)
    shutil.rmtree(runs / "a" / "checkpoints" / "000003")
    shutil.rmtree(runs / "b" / "checkpoints")
    lines = [line.split() for line in shown(capsys, "runs").splitlines()[1:]]
    assert lines[0][2] == "33%" and lines[1][2:4] == ["not", "saved"]
    assert [one["progress"] for one in reported(capsys, "runs")["runs"]] == [4 / 12, None]


@pytest.mark.parametrize("folder", ["file", os.devnull])
def test_a_file_as_the_folder_of_runs_is_refused(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["runs", "--runs-dir", str(tmp_path / folder)]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_terminal_of_one_column_gets_a_table_that_can_be_read(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    lines = shown(capsys, "runs").splitlines()
    assert len(lines) > 2 and all(line.strip() for line in lines)
    assert any("50%" in line for line in lines)


def test_a_run_shows_the_preset_that_it_was_started_from(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ["LAB_RUNS"])
    write(folder / "supervised-digits_mlp-007", "kind: supervised\nbudget: 12\n", [])
    assert reported(capsys, "runs")["runs"][0]["preset"] == "supervised/digits_mlp"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", b"\xff\xfe"),
        ("config.yaml", b"[1, 2]"),
        ("config.yaml", b"kind: [1]\nbudget: {a: b}\nevaluate: 7\n"),
        ("config.yaml", b"kind: nowhere\nbudget: -1\nevaluate: {best: [x]}\n"),
        ("config.yaml", b""),
        ("metrics.jsonl", b"\xff\n{}\n[]\n7\n"),
        ("metrics.jsonl", 100_000 * b"[" + b"\n"),
        ("metrics.jsonl", b'{"iteration": 1e999, "counters": {}, "metrics": {}, "seconds": 1}\n'),
        ("metrics.jsonl", None),
        ("checkpoints/000001/manifest.json", b'{"meta": {"progress": ["x"]}}'),
        ("checkpoints/000001/manifest.json", 100_000 * b"["),
    ],
)
def test_a_damaged_run_does_not_hide_the_others(
    file: str, content: bytes | None, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs / "b" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    assert [line.split()[0] for line in shown(capsys, "runs").splitlines()[1:]] in (["a", "b"], ["b", "a"])


def test_no_runs_are_said_with_the_way_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "lab train PRESET" in shown(capsys, "runs")
    assert reported(capsys, "runs") == {"runs": []}


def test_a_kind_without_runs_names_the_kinds(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a" in shown(capsys, "runs", "--kind", "counting")
    assert main(["runs", "--kind", "alphazer"]) == 2
    assert "did you mean 'alphazero'?" in capsys.readouterr().err
    assert "there are no alphazero runs in" in shown(capsys, "runs", "--kind", "alphazero")
    assert reported(capsys, "runs", "--kind", "alphazero") == {"runs": []}


def test_compare_has_the_settings_that_differ_the_values_and_one_plot_of_all(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.split() for line in shown(capsys, "compare", "a", "b").splitlines()]
    assert ["rate", "0.1", "0.2"] in lines
    assert ["search.simulations", "-", "9"] in lines
    assert not any(line[:1] == ["budget"] for line in lines)
    assert ["count/half", "3", "(5)", "4", "(4)", "higher"] in lines
    assert sum("count/half [steps] by iteration" in " ".join(line) for line in lines) == 1


def test_compare_as_json_has_settings_metrics_and_asked_curves(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = reported(capsys, "compare", "b", "a", "--metric", "count/half")
    assert report["runs"] == ["b", "a"]
    assert report["settings"]["rate"] == {"b": 0.2, "a": 0.1}
    half = report["metrics"]["count/half"]
    assert half["higher_is_better"] is True
    assert half["runs"]["a"] == {
        "latest": 3.0,
        "latest_iteration": 3,
        "best": 5.0,
        "curve": [[1, 1.0], [2, 5.0], [3, 3.0]],
    }


def test_compare_draws_a_picture(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown(capsys, "compare", "a", "b", "--out", str(tmp_path / "curves.png"))
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a"], "two or more"),
        (["a", "a"], "given twice"),
        (["a", "./a"], "given twice"),
        (["a", "c"], "no run 'c'"),
        (["a", "b", "--metric", "count/halve"], "did you mean 'count/half'?"),
        (["a", "b", "--metric", "\x1b[2J"], "no metric"),
        (["a", "b", "--out", "curves.gif"], "ends in .png"),
        (11 * ["a"], "at most 10"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_one_line(
    arguments: list[str], said: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs)
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "\x1b" not in error


def test_runs_with_the_same_settings_and_without_metrics_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ["LAB_RUNS"])
    for name in "ab":
        write(folder / name, "kind: counting\nbudget: 12\n", [])
    text = shown(capsys, "compare", "a", "b")
    assert "settings of these runs are the same" in text
    assert "no metric with two values" in text
