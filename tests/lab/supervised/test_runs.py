"""Runs of every task go on bit for bit, start from one another, and end as predictions, pictures and exported files."""

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from lab.cli.main import main
from lab.run.metrics import read
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.supervised.export import TableNetwork
from lab.supervised.transfer import load_trained
from lab.train import measured_precision
from lab.train.device import Device
from lab.train.range_test import range_test
from tests.lab.small_classifier import config, other, written
from tests.same_run import assert_same_bits, assert_same_run

DEVICE = Device(torch.device("cpu"), "fp32", 1)
FEW = {"held_out": 0.02}
SHORT = {"batch_size": 20, "images_per_iteration": 100}
EVERYTHING_ON = {"mirror": True, "rotation": 10, "scale": 0.1, "hue": 0.1, "grey": 0.2, "noise": 0.05, "cutout": 4}
KINDS: dict[str, dict[str, Any]] = {
    "classification": {
        "network": {"name": "resnet", "channels": [4, 8], "blocks": [0, 1]},
        "task": {"name": "classification", "class_weights": "balanced", "label_smoothing": 0.1, "mirror": True},
        "augment": EVERYTHING_ON,
        "training": SHORT
        | {"micro_batch": 8, "optimizer": "sgd", "schedule": "one-cycle", "warmup": 0.3, "gradient_clip": 1},
    },
    "alexnet": {"network": {"name": "alexnet", "width": 0.02}, "training": SHORT | {"optimizer": "muon"}},
    "airbench": {
        "data": FEW | {"fraction": 0.1},  # 400 images are two epochs
        "network": {"name": "airbench", "channels": [4, 4], "whitening_bias_fraction": 0.6},
        "task": {"name": "classification", "mirror": True, "shift": 1},
        "augment": {"mirror": "alternate", "crop": 1, "border": "reflect"},
        "training": SHORT
        | {"decay_images": 400, "optimizer": "muon"}
        | {"muon": {"others": "sgd", "normalise_weights": True, "newton_schulz_steps": 3}},
    },
    "denoising": {"network": {"name": "tower", "channels": 4, "blocks": 1}, "task": {"name": "denoising"}},
    "reconstruction": {
        "network": {"name": "cnn", "channels": [4], "features": 8},
        "task": {"name": "reconstruction", "code": 4, "normal": ["1", "2"]},
    },
    "regression": {
        "data": {"source": "diabetes"},
        "network": {"name": "mlp", "hidden": [8], "dropout": 0.2},
        "task": {"name": "regression"},
    },
    "detection": {
        "data": {"source": "breast_cancer"},
        "network": {"name": "mlp", "hidden": [8], "dropout": 0.2},
        "task": {"name": "detection", "positive": "malignant"},
    },
}


def run(*arguments: object, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


def settings_of(kind: str) -> SupervisedConfig:
    return other(**({"data": FEW, "training": SHORT, "budget": 400} | KINDS[kind]), evaluate={"every": 2})


@pytest.fixture(
    scope="module",
    params=[*(name for name in KINDS if name != "airbench"), pytest.param("airbench", marks=pytest.mark.slow)],
)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each kind: four iterations, the directory named after the kind."""
    folder = tmp_path_factory.mktemp(request.param)
    run("train", written(folder, settings_of(request.param)), "--runs-dir", folder, "--name", request.param)
    return folder / request.param


def test_a_key_of_a_section_under_another_name_says_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    run("config", "supervised/iris", "network.name=resnet", code=2)
    said = capsys.readouterr().err
    assert "'network.hidden'; it belongs to network.name=mlp" in said and "did you mean" not in said


def test_more_budget_is_recommended_only_where_it_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for schedule, recommended in (("cosine", False), ("constant", True)):
        given = ("budget=100", "evaluate.every=0", f"training.schedule={schedule}", "device=cpu", "tracking.wandb=off")
        run("train", "supervised/iris", *given, "evaluate.patience=null", "--runs-dir", tmp_path, "--name", schedule)
        capsys.readouterr()
        run("resume", tmp_path / schedule)
        said = capsys.readouterr().out
        assert ("budget=N" in said) == recommended
        assert ("its learning rate has reached 0" in said) != recommended


def test_a_stopped_run_goes_on_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    file = written(tmp_path, settings_of(trained.name))
    run("train", file, "budget=200", "--runs-dir", tmp_path, "--name", trained.name)
    run("resume", tmp_path / trained.name, "budget=400")
    assert_same_run(trained, tmp_path / trained.name)


def test_alternating_flips_and_a_bias_that_is_frozen_go_on_bit_for_bit(tmp_path: Path) -> None:
    whole, resumed = (Supervised(settings_of("airbench"), tmp_path / name, DEVICE) for name in ("whole", "resumed"))
    biases = []
    for index in range(20):
        if index == 14:  # the second epoch, and the bias is frozen since the twelfth step
            resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
        whole.step()
        if index >= 14:
            resumed.step()
        biases.append(whole.network.get_parameter("trunk.whitening.bias").detach().clone())
    assert_same_bits(whole.state_dict(), resumed.state_dict())
    changed = [not torch.equal(one, other) for one, other in pairwise(biases)]
    assert changed == [True] * 11 + [False] * 8


def test_muon_trains_the_digits(tmp_path: Path) -> None:
    settings = ("training.optimizer=muon", "training.learning_rate=0.02", "training.adamw_fraction=0.15")
    fast = ("network.hidden=[32]", "budget=8000", "evaluate.every=1", "threads=1", "device=cpu", "tracking.wandb=off")
    run("train", "supervised/digits_mlp", *settings, *fast, "--runs-dir", tmp_path, "--name", "muon")
    assert max(entry.metrics.get("eval/accuracy", 0.0) for entry in read(tmp_path / "muon" / "metrics.jsonl")) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_an_exported_network_answers_as_the_run_does(trained: Path, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"network{suffix}"
    run("export", trained, "--out", file)
    network = load_trained(trained, DEVICE)
    inputs = torch.rand(3, *network.shape)
    module: torch.nn.Module = network.network
    if network.preprocessing is not None:  # the file takes rows as the table has them
        inputs, module = (
            torch.rand(3, len(network.preprocessing.raw_names), dtype=torch.float64) * 1e6,
            TableNetwork(network.network, network.preprocessing),
        )
    with torch.no_grad():
        expected = module(inputs).numpy()
    if suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        found = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0]
    else:
        found = torch.export.load(str(file)).module()(inputs).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    run("export", trained, "--out", file, code=2)  # it exists


def test_what_it_looks_like_is_in_the_run(trained: Path) -> None:
    expected = {
        "classification": {"confusion_matrix", "misclassified", "filters", "feature_maps", "learning_curves", "scores"},
        "alexnet": {"confusion_matrix", "filters", "feature_maps", "learning_curves"},
        "airbench": {"confusion_matrix", "filters", "feature_maps", "learning_curves"},
        "denoising": {"denoised", "filters", "feature_maps", "learning_curves"},
        "reconstruction": {"rebuilt", "rebuilt_worst", "errors", "filters", "learning_curves", "scores"},
        "regression": {"fit", "learning_curves", "scores"},
        "detection": {"precision_recall", "learning_curves", "scores"},
    }[trained.name]
    found = {path.stem for path in (trained / "samples").glob("*.png")}
    assert expected <= found
    for path in (trained / "samples").glob("*.png"):
        with Image.open(path) as picture:
            picture.verify()


@pytest.mark.parametrize(
    ("changed", "expected"), [("table.csv", "is not the data this run was trained on"), ("test.csv", "was tested on")]
)
def test_a_run_neither_goes_on_nor_is_graded_with_data_that_changed(
    changed: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {
        name: "\n".join(["a,label", *[f"{number},{number % 3}" for number in range(count)]]) + "\n"
        for name, count in (("table.csv", 90), ("test.csv", 9))
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    data = {"source": str(tmp_path / "table.csv"), "test_source": str(tmp_path / "test.csv")}
    settings = other(data=data, network={"name": "mlp", "hidden": [4]}, training=SHORT, budget=100)
    run("train", written(tmp_path, settings), "--runs-dir", tmp_path, "--name", "run")
    run("eval", tmp_path / "run")
    (tmp_path / changed).write_text(texts[changed] + "7,1\n")
    for command in (["eval", tmp_path / "run"], ["resume", tmp_path / "run", "budget=200"]):
        capsys.readouterr()
        run(*command, code=2)
        error = capsys.readouterr().err
        assert changed in error and expected in error and len(error.splitlines()) == 1
    (tmp_path / changed).write_text(texts[changed])
    run("resume", tmp_path / "run", "budget=200")


@pytest.mark.parametrize(
    ("training", "network", "expected"),
    [
        ({"micro_batch": 8}, {"name": "cnn"}, "both split a batch"),
        ({}, {"name": "alexnet"}, "dropout masks of several learners differ"),
    ],
)
def test_what_learners_would_not_do_alike_is_refused(
    training: dict[str, Any], network: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        other(network=network, training=training, cluster={"learners": 2})


def test_the_sweep_finds_where_a_bowl_is_descended_fastest_and_stops_where_it_is_left() -> None:
    place = torch.tensor(1.0)
    seen = []

    def step(rate: float) -> torch.Tensor:
        nonlocal place
        seen.append(rate)
        loss = 0.5 * place * place  # its slope is `place`: steps longer than 2 lead away
        place = place - rate * place
        return loss

    found = range_test(step, 3e-4, 100.0, 100)  # of which none is exactly 1, which would end it at the bottom
    assert found.suggestion is not None and 0.01 < found.suggestion < 2.0
    assert len(found.rates) < 100 and found.rates == sorted(found.rates)
    assert seen[0] == pytest.approx(3e-4)


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_noise_of_the_first_batches_suggests_nothing(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = ("device=cpu", "threads=1")
    run("find-lr", "supervised/diabetes", f"seed={seed}", *cpu, "--out", tmp_path / "rate.png", "--json")
    record = json.loads(capsys.readouterr().out)
    assert 2e-3 < record["suggestion"] < 1.2e-2  # training at 5e-3 reaches the best r2 soonest


def test_a_loss_that_never_falls_has_no_suggestion() -> None:
    drawn = np.random.default_rng(0)
    tests = [
        range_test(lambda rate: torch.tensor(1.0 + 0.2 * drawn.standard_normal()), 1e-6, 10.0, 150) for _ in range(50)
    ]
    assert sum(found.suggestion is not None for found in tests) <= 1
    assert all(found.start == pytest.approx(1.0, abs=0.15) for found in tests)


def test_a_learning_rate_is_suggested_and_no_run_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("find-lr", written(tmp_path, config()), "--steps", 40, "--from", 1e-5, "--to", 1, "--json")
    record = json.loads(capsys.readouterr().out)
    assert 1e-5 < record["suggestion"] < 1 and Path(record["figure"]).is_file()
    assert not (tmp_path / "runs").exists()
    run("find-lr", written(tmp_path, config()), "--from", 1, "--to", 0.1, code=2)


def test_widths_are_trained_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["budget=2048", "training.images_per_iteration=2048"]
    out = tmp_path / "widths.png"
    run("approximate", "supervised/approximation", *short, "--widths", "1,8", "--out", out, "--json")
    record = json.loads(capsys.readouterr().out)
    assert record["widths"] == [1, 8] and len(record["rmse"]) == 2
    assert out.is_file() and (tmp_path / "widths_fits.png").is_file()
    run("approximate", "supervised/approximation", "--widths", "many", code=2)
    for other_kind in ("supervised/digits", "sequences/reverse"):
        capsys.readouterr()
        run("approximate", other_kind, "--widths", "2", code=2)
        assert capsys.readouterr().err.startswith(f"lab: {other_kind} is not a preset with task.name=regression")


def test_the_bench_compares_steps_with_a_bare_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("bench", "supervised", written(tmp_path, config()), "--seconds", 0.05, "--json")
    record = json.loads(capsys.readouterr().out)
    ratio = record["images_per_s"] / record["bare_images_per_s"]
    assert ratio > 0.0 and record["batch"] == 50 and record["data_images_per_s"] > 0


def test_in_the_kept_precision_a_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(torch.device("cpu"), "fp32", 1, automatic=True)
    monkeypatch.setenv(measured_precision.SWITCH, "1")
    monkeypatch.setattr(measured_precision, "measure", lambda calls, **_: dict(zip(calls, (2.0, 1.0), strict=True)))
    torch.manual_seed(0)
    one = Supervised(config(data=FEW, training=SHORT), tmp_path, device)
    assert one.device.precision == "bf16"
    one.iterate()
    state = copy.deepcopy(one.state_dict())
    monkeypatch.setattr(measured_precision, "measure", pytest.fail)
    other_one = Supervised(config(data=FEW, training=SHORT), tmp_path, device)
    other_one.load_state_dict(state)
    one.iterate(), other_one.iterate()
    assert_same_bits(other_one.state_dict(), one.state_dict())
    assert all(value.dtype == torch.float32 for value in one.network.parameters())
