"""`lab bench record`: what it writes down of runs, and of which it does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.config.loading import dump, load_preset
from lab.run.metrics import MetricsLog


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs with the seeds 0 and 1, which reach 0.9 after 10 and 20 seconds, and end at 0.95."""
    for seed in (0, 1):
        config = load_preset("supervised/iris", [f"seed={seed}", "evaluate.target=0.9", "threads=1"])
        run = tmp_path / f"iris-{seed}"
        run.mkdir()
        (run / "config.yaml").write_text(dump(config))
        with MetricsLog(run / "metrics.jsonl") as log:
            for part, value in enumerate((0.8, 0.9, 0.95), start=1):
                metrics = {"time/iteration_s": 5.0 * (seed + 1), "eval/accuracy": value}
                log.append(part, {"rows": 100 * part}, metrics, 0.0)
    return tmp_path


def record(runs: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    into = runs / "speed.jsonl"
    given = ["bench", "record", *arguments, "--preset", "supervised/iris", "--machine", "m"]
    assert main([*given, "--into", str(into), "--runs-dir", str(runs)]) == code
    return [json.loads(line) for line in into.read_text().splitlines()] if into.exists() else []


def test_runs_are_recorded_with_their_seconds_to_the_target(runs: Path) -> None:
    found = record(runs, "iris-0", "iris-1")
    assert [(one["seed"], one["seconds"], one["progress"], one["best"]) for one in found] == [
        (0, 10.0, 200, 0.95),
        (1, 20.0, 200, 0.95),
    ]
    assert {(one["metric"], one["target"], one["machine"], one["threads"]) for one in found} == {
        ("eval/accuracy", 0.9, "m", 1)
    }


def test_a_run_replaces_the_record_of_its_seed_and_target(runs: Path) -> None:
    record(runs, "iris-0", "iris-1")
    assert len(record(runs, "iris-0")) == 2
    assert len(record(runs, "iris-0", "--target", "0.94")) == 3


def test_a_run_that_never_was_so_good_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record(runs, "iris-0", "--target", "0.99", code=2) == []
    assert "did not reach eval/accuracy 0.99: its best is 0.95" in capsys.readouterr().err
