"""Runs of a series GAN from the command line: exact resume, its verbs, and one line for what is asked wrongly."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from gans.series.noise import noise
from gans.series.sampler import load_sampler
from lab import rng
from lab.cli.main import main
from lab.run import metrics
from tests.command_line import launch, wait_until
from tests.gans.small_series import DEVICE, preset, table
from tests.same_run import assert_same_run


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Standard output of a command that succeeds."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def read_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a file by the names of its columns, and those of "load" and "price" as [rows, 2]."""
    rows = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    return rows, np.stack([rows["load"], rows["price"]], axis=1)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that a person got wrong prints: one line."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional run on a CSV file whose channels have scales of their own."""
    folder = tmp_path_factory.mktemp("series")
    modes = ["lo"] * 200 + ["hi"] * 400
    rows = [f"{1000 + 50 * math.sin(i / 3)},{1e-3 * (i % 17)},{mode}" for i, mode in enumerate(modes)]
    (folder / "t.csv").write_text("\n".join(["load,price,mode", *rows]))
    data = {"source": str(folder / "t.csv"), "label": "mode"}
    file = preset(folder, data=data, evaluate={"every": 8}, loss={"name": "non-saturating", "lazy": 2})
    assert main(["train", str(file), "--runs-dir", str(folder), "--name", "run"]) == 0
    return folder / "run"


VARIANTS: dict[str, dict[str, Any]] = {
    "sines": {"evaluate": {"every": 3}},
    "conditional": {
        "data": {"source": "autoregressive", "synthetic": {"classes": 2}},
        "loss": {"name": "relativistic"},
        "network": {"discriminator": "cnn", "discriminator_layers": 2, "cell": "lstm"},
        "training": {"discriminator_steps": 2, "learning_rate": {"schedule": "cosine", "start": 1e-3, "until": 300}},
        "evaluate": {"samples": 0},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["sines", "conditional"])
def test_killed_and_resumed_equals_uninterrupted(
    variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = preset(tmp_path, budget=640, **VARIANTS[variant])  # long enough to be killed on its way
    killed = tmp_path / "killed"
    said(capsys, "train", file, "--runs-dir", tmp_path, "--name", "whole")
    process = launch("train", file, "--runs-dir", tmp_path, "--name", "killed")
    wait_until(lambda: any(e.iteration >= 3 for e in metrics.read(killed / "metrics.jsonl")), process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "continuing from iteration" in said(capsys, "resume", killed)
    assert_same_run(tmp_path / "whole", killed)


def test_another_file_under_the_same_name_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = table(tmp_path / "t.csv", 300)
    file = preset(tmp_path, data={"source": str(source)}, budget=64)
    said(capsys, "train", file, "--runs-dir", tmp_path, "--name", "run")
    source.write_text(source.read_text().replace("0.5,", "0.75,", 1))
    line = f"{source} is not the data this run was trained on"
    assert line in refused(capsys, "resume", tmp_path / "run", "budget=128")
    assert line in refused(capsys, "eval", tmp_path / "run")
    table(source, 300)
    assert "discriminative_score" in said(capsys, "eval", tmp_path / "run")
    assert "complete" in said(capsys, "resume", tmp_path / "run", "budget=128")


def test_an_evaluation_scores_and_draws(labelled: Path) -> None:
    last = {k: v for entry in metrics.read(labelled / "metrics.jsonl") for k, v in entry.metrics.items()}
    for name in ("discriminative_score", "predictive_score", "marginal_distance"):
        assert last[f"eval/{name}"] >= 0.0 and last[f"eval/{name}_floor"] >= 0.0
    (picture,) = (labelled / "samples").iterdir()
    assert picture.name == "0000000256.png"
    pixels = np.asarray(Image.open(picture))
    assert pixels.ndim == 3 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_eval_prints_scores_beside_floors(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "eval", labelled, "--json"))
    assert found["series_shown"] == 256 and found["samples"] == 40
    assert found["eval/marginal_distance"] > found["eval/marginal_distance_floor"] > 0.0
    assert json.loads(said(capsys, "eval", labelled, "--json")) == found
    lines = said(capsys, "eval", labelled)
    assert f"{found['eval/predictive_score']:.4g}" in lines and "floor" in lines


def test_a_csv_of_samples_is_in_the_data_s_units(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "70 series of 8 steps and 2 channels" in said(
        capsys, "sample", labelled, "-n", 70, "--out", tmp_path / "a.csv"
    )
    rows, values = read_csv(tmp_path / "a.csv")
    assert rows.dtype.names == ("series", "step", "label", "load", "price")
    assert rows["series"].tolist() == np.repeat(np.arange(70), 8).tolist()
    assert rows["step"].tolist() == list(range(8)) * 70
    sampler = load_sampler(labelled, DEVICE)
    scale = sampler.summary.scale
    expected = sampler.sample(range(70), 0).double().numpy() * scale.deviation + scale.mean
    np.testing.assert_allclose(values.reshape(70, 8, 2), expected, rtol=1e-7, atol=1e-9)
    assert abs(scale.mean[0] - 1000) < 10 and scale.deviation[1] < 0.01
    # Classes come with their shares: one third of the rows is "lo".
    assert 0.15 < (rows["label"] == "lo").mean() < 0.5


def test_an_array_holds_the_same_and_a_class_can_be_asked_for(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(
        capsys, "sample", labelled, "-n", 4, "--class", "hi", "--out", tmp_path / "a.npy", "--plot", tmp_path / "p.png"
    )
    said(capsys, "sample", labelled, "-n", 4, "--class", "hi", "--out", tmp_path / "a.csv")
    array, (rows, values) = np.load(tmp_path / "a.npy"), read_csv(tmp_path / "a.csv")
    assert array.shape == (4, 8, 2) and array.dtype == np.float64
    np.testing.assert_allclose(array.reshape(32, 2), values, rtol=1e-7, atol=1e-9)
    assert set(rows["label"]) == {"hi"}
    assert np.asarray(Image.open(tmp_path / "p.png")).shape[2] == 3


def test_series_of_a_seed_do_not_depend_on_how_many_are_drawn(labelled: Path) -> None:
    sampler = load_sampler(labelled, DEVICE)
    assert torch.equal(sampler.sample(range(300), 5)[:3], sampler.sample(range(3), 5))
    assert torch.equal(sampler.sample(range(300), 5)[298:], sampler.sample([298, 299], 5))
    assert not torch.equal(sampler.sample(range(3), 5), sampler.sample(range(3), 6))


def test_a_sampled_file_can_be_trained_on(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "sample", labelled, "-n", 200, "--out", tmp_path / "a.csv")
    data = {"source": str(tmp_path / "a.csv"), "series": "series", "label": "label", "columns": ["load", "price"]}
    file = preset(tmp_path, data=data, budget=32)
    assert "complete" in said(capsys, "train", file, "--runs-dir", tmp_path, "--name", "second")


@pytest.mark.slow
def test_an_export_agrees_with_the_run(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "export", labelled, "--out", tmp_path / "g.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "g.onnx"), providers=["CPUExecutionProvider"])
    sampler = load_sampler(labelled, DEVICE)
    drawn = noise(sampler.config.network, 8, torch.arange(7), 2, int(rng.Stream.SAMPLE))
    labels = sampler.labels(range(7), 2)
    assert labels is not None
    names = [node.name for node in session.get_inputs()]
    found = session.run(None, dict(zip(names, (x.numpy() for x in (*drawn, labels)), strict=True)))[0]
    expected = sampler.summary.scale.restore(sampler.sample(range(7), 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.slow
def test_an_exported_file_keeps_small_values_on_a_large_offset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = table(tmp_path / "t.csv", 400)
    lines = [
        f"{1_700_000_000 + float(line.split(',')[0])},{line.split(',')[1]}" for line in file.read_text().split()[1:]
    ]
    file.write_text("\n".join(["a,b", *lines]))
    settings = preset(tmp_path, data={"source": str(file)}, budget=32)
    said(capsys, "train", settings, "--runs-dir", tmp_path, "--name", "offset")
    said(capsys, "export", tmp_path / "offset", "--out", tmp_path / "g.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "g.onnx"), providers=["CPUExecutionProvider"])
    sampler = load_sampler(tmp_path / "offset", DEVICE)
    drawn = noise(sampler.config.network, 8, torch.arange(7), 2, int(rng.Stream.SAMPLE))
    found = session.run(["series"], {"noise": drawn.steps.numpy(), "series_noise": drawn.series.numpy()})[0]
    expected = sampler.summary.scale.restore(sampler.sample(range(7), 2))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-3)
    said(capsys, "sample", tmp_path / "offset", "-n", 7, "--seed", 2, "--out", tmp_path / "x.csv")
    written = np.loadtxt(tmp_path / "x.csv", delimiter=",", skiprows=1)[:, 2:].reshape(expected.shape)
    np.testing.assert_allclose(written, expected, rtol=0.0, atol=1e-3)


def test_wrong_use_is_one_line(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    cases = {
        ("sample", labelled, "--class", "hii"): "did you mean 'hi'",
        ("sample", labelled, "--out", tmp_path / "x.txt"): "ends in .csv or .npy",
        ("sample", labelled, "--plot", tmp_path / "x.jpg"): "ends in .png",
        ("sample", labelled, "--out", taken): "--overwrite",
        ("export", labelled, "--out", tmp_path / "x.bin"): ".onnx or a .pt2",
    }
    for arguments, expected in cases.items():
        assert expected in refused(capsys, *arguments)
    assert taken.read_text() == "mine"


def test_wrong_settings_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        ("data.source=sinus",): "neither sines, autoregressive nor a .csv file",
        ("data.source=nowhere.csv",): "there is no file nowhere.csv",
        ("data.label=mode",): "needs a .csv file",
        ("data.synthetic.frequency=[0.2,0.1]",): "must rise",
        ("data.synthetic.series=20",): "too few for metrics",
        ("data.length=0",): "data.length should be greater than or equal to 4",
        ("cluster.learners=2",): "train in a single process; leave cluster.learners at 1",
    }
    file = preset(tmp_path)
    for overrides, expected in cases.items():
        assert expected in refused(capsys, "train", file, *overrides, "--runs-dir", tmp_path / "runs")
        assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())
