"""Metrics at Ray's endpoint: a scrape shows the numbers that the run's own record ends with."""

import json
import math
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.pool.connection import connect
from cluster.ray_metrics import RayMetricsSink, gauge_name
from lab.cli.curves import catalogue_of
from lab.cli.main import main
from lab.config.registry import KINDS
from lab.config.sections import ClusterConfig
from lab.run.metrics import Catalogue, Entry, read
from tests.agents.small_alphazero import preset as alphazero
from tests.command_line import ROOT
from tests.lab.small_classifier import preset as classifier

pytest.importorskip("ray")
_REPORT_S = 4  # two refreshes
_PATIENCE_S = 60
_SLOW_PATIENCE_S = 240
_SAMPLE = re.compile(r"^ray_(rivals_\w+)\{(.*)\} (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of the metrics of a cluster that reports them often."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_metrics_report_interval_ms", str(1000 * _REPORT_S))
        with connect(ClusterConfig()):
            import ray

            node = ray.nodes()[0]
            yield f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"


def scrape(endpoint: str, run: str) -> dict[str, float]:
    """Gauges of a run."""
    with urllib.request.urlopen(endpoint, timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, tags, value in _SAMPLE.findall(text) if f'run="{run}"' in tags}


def latest(run: Path) -> dict[str, float]:
    """The last value of everything in a run's record, by its gauge."""
    values: dict[str, float] = {}
    for entry in read(run / "metrics.jsonl"):
        values |= {"iteration": float(entry.iteration), **entry.counters, **entry.metrics}
    return {gauge_name(name): value for name, value in values.items()}


def wait_for(endpoint: str, run: str, expected: dict[str, float]) -> None:
    """Return once a scrape shows just this."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := scrape(endpoint, run)) != pytest.approx(expected):
        assert time.monotonic() < deadline, (found, expected)
        time.sleep(0.2)


@pytest.mark.slow
def test_a_run_with_workers_shows_what_its_record_says(endpoint: str, tmp_path: Path) -> None:
    preset = alphazero(tmp_path, cluster={"workers": 1, "worker_cpus": 0.25})
    assert main(["train", str(preset), "--runs-dir", str(tmp_path), "--name", "played"]) == 0
    found = latest(tmp_path / "played")
    wait_for(endpoint, "played", found)
    what_matters = (
        *(
            "selfplay/games_per_h",
            "selfplay/batch_fill",
            "cluster/policy_lag",
            "cluster/workers_alive",
            "cluster/restarts",
        ),
        *("games", "positions", "iteration"),
    )
    assert {gauge_name(name) for name in what_matters} <= found.keys()
    assert found["rivals_cluster_workers_alive"] == 1


@pytest.mark.slow
def test_gauges_outlast_a_long_iteration_and_end_with_the_run(endpoint: str) -> None:
    with RayMetricsSink(Catalogue(), "made-up") as gauges:
        gauges(Entry(1, {"images": 5}, {"loss/x": 0.5, "time/iteration_s": 1.0}))
        gauges(Entry(2, {"images": 9}, {"loss/x": math.nan}))
        expected = {"iteration": 2.0, "images": 9.0, "time/iteration_s": 1.0}
        wait_for(endpoint, "made-up", {gauge_name(name): value for name, value in expected.items()})
        time.sleep(2.5 * _REPORT_S)
        assert scrape(endpoint, "made-up")["rivals_images"] == 9
    wait_for(endpoint, "made-up", {})


def test_what_cannot_be_shown_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    tried: list[str] = []

    def gauge(name: str, *_: object) -> None:
        tried.append(name)
        raise RuntimeError("Ray is gone")

    monkeypatch.setattr("ray.util.metrics.Gauge", gauge)
    with RayMetricsSink(Catalogue(), "made-up") as gauges:
        for iteration in (1, 2, 3):
            gauges(Entry(iteration))
    assert len(tried) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "the export of metrics to Ray has failed, training continues (Ray is gone)"
    ]


def test_the_dashboard_shows_nothing_that_is_not_catalogued() -> None:
    text = (ROOT / "cluster" / "manifests" / "grafana.json").read_text()
    known = {f"ray_{gauge_name(name)}" for kind in KINDS for name in catalogue_of(kind)} | {"ray_rivals_iteration"}
    named = {
        name for panel in json.loads(text)["panels"] for name in re.findall(r"ray_\w+", panel["targets"][0]["expr"])
    }
    assert len(named) == 8
    assert named <= known


@pytest.mark.long
@pytest.mark.timeout(2 * _SLOW_PATIENCE_S)
@pytest.mark.parametrize(
    ("verb", "folder", "run"),
    [
        (("train", "cluster.learners=2", "--name", "shared"), "shared", "shared"),
        (("sweep", "augment.crop=choice(1)", "--scheduler", "none", "--name", "s"), "s/001", "s/001"),
        (
            ("sweep", "augment.crop=choice(1, 2)", "--scheduler", "pbt", "--intervals", "2", "--name", "p"),
            "p/001",
            "p/001",
        ),
    ],
    ids=["learners", "sweep", "population"],
)
def test_whoever_runs_the_loop_its_metrics_are_shown(
    endpoint: str, verb: tuple[str, ...], folder: str, run: str, tmp_path: Path
) -> None:
    command, *options = verb
    preset = classifier(tmp_path, budget=40_000, evaluate={"every": 1, "best": "eval/accuracy"})
    arguments = [command, str(preset), *options, "cluster.worker_cpus=0.5", "--runs-dir", str(tmp_path)]
    training = threading.Thread(target=main, args=(arguments,))
    training.start()
    shown: dict[str, float] = {}
    record = tmp_path / folder / "metrics.jsonl"
    deadline = time.monotonic() + _SLOW_PATIENCE_S
    while "rivals_train_samples_per_s" not in shown:
        assert training.is_alive() and time.monotonic() < deadline
        time.sleep(0.2)
        shown = scrape(endpoint, run)
    known = [entry for entry in read(record) if entry.iteration == shown["rivals_iteration"]]
    assert shown["rivals_train_samples_per_s"] in [entry.metrics.get("train/samples_per_s") for entry in known]
    assert {shown["rivals_images"]} == {entry.counters["images"] for entry in known}
    training.join()
