"""Sweeps: what a search space may say, which trials it makes, and that the worse ones are stopped cleanly."""

import json
import math
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.pool.connection import Connection
from cluster.pool.placement import Resources
from cluster.sweeps.search_space import Dimension, overrides, parse, sample_trials
from lab.cli.main import main
from lab.config.presets import parse_overrides
from lab.errors import UserError
from lab.run import checkpoint
from lab.train.device import Device


def test_a_space_is_read_beside_plain_settings() -> None:
    space, fixed = parse(["a.b=loguniform(1e-4, 1e-2)", "c=choice(x, 2, true)", "budget=9", "d=randint(1,3)"])
    assert space == [
        Dimension("a.b", "loguniform", (1e-4, 1e-2)),
        Dimension("c", "choice", ("x", 2, True)),
        Dimension("d", "randint", (1, 3)),
    ]
    assert fixed == ["budget=9"]


def test_choices_alone_are_a_grid() -> None:
    space, _ = parse(["a=choice(1, 2)", "b=choice(x, y)"])
    assert sample_trials(space, None, seed=0) == [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y")]


def test_draws_lie_in_their_ranges_and_follow_the_seed() -> None:
    space, _ = parse(["a=loguniform(1e-4, 1e-2)", "b=uniform(-1, 1)", "c=randint(1, 3)"])
    drawn = sample_trials(space, 400, seed=0)
    assert drawn == sample_trials(space, 400, seed=0) != sample_trials(space, 400, seed=1)
    assert all(1e-4 <= p["a"] <= 1e-2 and -1 <= p["b"] <= 1 for p in drawn)
    assert {p["c"] for p in drawn} == {1, 2, 3}
    assert abs(sum(math.log10(p["a"]) for p in drawn) / 400 + 3) < 0.1, "not uniform in the logarithm"


@pytest.mark.parametrize(
    ("text", "value", "near"),
    [
        ("a=uniform(0, 10)", 5.0, {4.0, 6.0}),
        ("a=loguniform(1, 10)", 9.0, {7.2, 10.0}),
        ("a=randint(1, 100)", 2, {1, 3}),
        ("a=randint(1, 100)", 50, {40, 60}),
        ("a=randint(1, 2)", 2, {1, 2}),
        ("a=choice(8, 2, 32, 4)", 8, {4, 32}),
        ("a=choice(x, y, z)", "x", {"y"}),
        ("a=choice(x)", "x", {"x"}),
    ],
)
def test_a_perturbed_value_is_a_neighbour_in_range_or_a_new_sample(text: str, value: Any, near: set[Any]) -> None:
    (dimension,), _ = parse([text])
    perturbed = [dimension.perturb(value, random.Random(seed)) for seed in range(2000)]
    assert near <= set(perturbed)
    resampled = sum(one not in near for one in perturbed) / 2000
    chance = sum(dimension.sample(random.Random(seed)) not in near for seed in range(2000)) / 2000
    assert resampled == pytest.approx(0.25 * chance, abs=0.03)
    assert all(
        dimension.distribution == "choice" or dimension.values[0] <= one <= dimension.values[1] for one in perturbed
    )


@pytest.mark.parametrize("value", [1e-7, 0.1, 3, True, "x", "1e-3", "no: yes", "true"])
def test_a_drawn_value_arrives_as_it_is(value: Any) -> None:
    assert parse_overrides(overrides({"a.b": value})) == {"a": {"b": value}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=uniform(1)", "uniform takes two numbers"),
        ("a=uniform(2, 1)", "the lower first"),
        ("a=loguniform(0, 1)", "above 0"),
        ("a=randint(0.5, 2)", "two integers"),
        ("a=choice()", "at least one value"),
        ("a=choice([1], 2)", "numbers and words"),
        ("a=__import__('os').getcwd()", "a range is key=choice"),
        ("a=normal(0, 1)", "a range is key=choice"),
    ],
)
def test_a_bad_space_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse([text])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["budget=10"], "no search space"),
        (["training.learning_rat=uniform(0.1, 0.2)"], "learning_rate"),
        (["training.learning_rate=uniform(-2, -1)"], "training.learning_rate"),
        (["augment.crop=choice(1, 2)", "--metric", "eval/acuracy"], "did you mean 'eval/accuracy'"),
        (["augment.crop=choice(1, 2)", "--scheduler", "pbtt"], "use asha, pbt, none"),
        (["network.features=choice(8, 16)", "--scheduler", "pbt"], "pbt cannot search network.features"),
        (["training.weight_decay=uniform(0, 1)", "--scheduler", "pbt"], "pbt cannot search training.weight_decay"),
        (["augment.crop=choice(1)", "--scheduler", "pbt"], "at least two trials"),
        (["augment.crop=choice(1, 2)", "--trials", "0"], "--trials"),
        (["augment.crop=choice(1, 2)", "cluster.learners=2"], "leave cluster.workers at 0"),
    ],
)
def test_a_bad_sweep_is_refused_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("cluster.sweeps.sweep.connect", lambda *_: pytest.fail("Ray was started"))
    assert main(["sweep", "supervised/digits", *arguments, "--runs-dir", str(tmp_path), "--name", "s"]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not any(tmp_path.iterdir())


def test_trials_share_the_gpu_that_a_learner_of_its_own_would_reserve(tmp_path: Path, monkeypatch: Any) -> None:
    asked: list[Resources] = []

    def placement_group(resources: list[Resources], *_: Any) -> None:
        asked.extend(resources)
        raise UserError("far enough")

    one_gpu = Connection("here", nodes=1, cpus=8.0, gpus=1.0, authentication="none", started=True)
    monkeypatch.setattr("cluster.sweeps.sweep.connect", lambda *_: nullcontext(one_gpu))
    monkeypatch.setattr("cluster.sweeps.sweep.devices.resolve", lambda *_: Device(torch.device("cuda"), "fp32", 1))
    monkeypatch.setattr("cluster.sweeps.sweep.PlacementGroup", placement_group)
    arguments = ["augment.crop=choice(1, 2)", "cluster.learner_gpus=1", "--runs-dir", str(tmp_path)]
    assert main(["sweep", "supervised/digits", *arguments]) == 2
    assert asked == [Resources(cpus=1.0, gpus=0.5, threads=1)]


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("ray_here")
def test_the_best_is_found_and_the_worst_stopped_with_a_checkpoint(tmp_path: Path) -> None:
    fixed = ["budget=12000", "evaluate.every=1", "training.images_per_iteration=600", "threads=1"]
    space = "training.learning_rate=choice(2e-3, 5e-3, 1e-2, 1e-7)"
    options = ["cluster.worker_cpus=0.5", "--max-concurrent", "2", "--runs-dir", str(tmp_path), "--name", "s"]
    assert main(["sweep", "supervised/digits", space, *fixed, *options]) == 0
    record = json.loads((tmp_path / "s" / "sweep.json").read_text())
    values = [trial["value"] for trial in record["trials"]]
    assert values == sorted(values, reverse=True) and len(values) == 4
    assert record["trials"][0]["settings"]["training.learning_rate"] > 1e-3
    worst = record["trials"][-1]
    assert worst["settings"]["training.learning_rate"] == 1e-7
    assert worst["state"] == "stopped" and worst["iteration"] < 20
    run = tmp_path / "s" / worst["name"]
    found = checkpoint.latest_valid(run / "checkpoints", pytest.fail)
    assert found is not None and int(found.name) == worst["iteration"]
