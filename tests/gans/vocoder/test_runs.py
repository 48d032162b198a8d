"""Runs of a vocoder from the command line: exact resume, its verbs, and one line for what is asked wrongly."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gans.vocoder.vocoder import Vocoder
from lab.api import Run
from lab.audio.mel import log_mel
from lab.audio.wav import read_wav, write_wav
from lab.cli.main import main
from lab.config.registry import find_kind, load
from lab.run import metrics
from tests.gans.small_vocoder import DEVICE, config, preset
from tests.lab.audio.waves import vowel
from tests.same_run import assert_same_run


def train(folder: Path, file: Path, name: str, *overrides: str) -> Path:
    assert main(["train", str(file), *overrides, "--runs-dir", str(folder), "--name", name]) == 0
    return folder / name


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocoder")
    return train(folder, preset(folder, evaluate={"every": 2}), "run")


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    file = preset(tmp_path, evaluate={"every": 2})
    half = train(tmp_path, file, "half", "budget=16")
    # What was computed after the checkpoint is computed again.
    shutil.rmtree(half / "checkpoints" / sorted(path.name for path in (half / "checkpoints").glob("0*"))[-1])
    assert main(["resume", str(half), "budget=32"]) == 0
    assert_same_run(half, trained)


def test_gradients_over_micro_batches_are_those_of_the_batch(tmp_path: Path) -> None:
    from gans.vocoder.experiment import build

    states = []
    for micro_batch in (None, 2):
        torch.manual_seed(0)
        experiment = build(config(training={"micro_batch": micro_batch}), tmp_path, DEVICE)
        experiment.iterate()
        states.append(experiment.trainer.generator.state_dict())
    for name, weight in states[0].items():
        assert torch.allclose(weight, states[1][name], atol=2e-4), name


def test_training_brings_the_distance_down(tmp_path: Path) -> None:
    run = train(tmp_path, preset(tmp_path), "run", "budget=480", "training.windows_per_iteration=48")
    entries = [entry.metrics for entry in metrics.read(run / "metrics.jsonl")]
    spectral = [entry["loss/spectral"] for entry in entries if "loss/spectral" in entry]
    assert spectral[-1] < 0.8 * spectral[0]


def test_an_evaluation_stands_beside_griffin_lim(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(trained), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recordings"] == 2
    for name in ("mcd_db", "spectral_convergence", "spectral_distance"):
        assert found[f"eval/{name}"] > 0.0 and found[f"eval/{name}_griffin_lim"] > 0.0
    recorded = [entry.metrics for entry in metrics.read(trained / "metrics.jsonl") if "eval/mcd_db" in entry.metrics]
    assert len(recorded) == 2 and found["eval/mcd_db"] == pytest.approx(recorded[-1]["eval/mcd_db"])
    assert found["eval/spectral_convergence_griffin_lim"] < 0.7
    assert sorted(path.suffix for path in (trained / "samples").iterdir()) == [".png", ".png", ".wav", ".wav"]
    assert main(["eval", str(trained), "--recordings", "1"]) == 0
    assert "1 held-out recordings of glides" in capsys.readouterr().out


def test_a_recording_is_made_again(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(tmp_path / "in.wav", vowel(8000, 0.5), 8000)
    out = tmp_path / "out.wav"
    assert main(["predict", str(trained), str(tmp_path / "in.wav"), "--out", str(out)]) == 0
    made = read_wav(out)
    assert made.rate == 4000 and len(made.samples) == 2000
    assert "exists" in refused(capsys, "predict", trained, tmp_path / "in.wav", "--out", out)
    assert "does not exist" in refused(capsys, "predict", trained, tmp_path / "no.wav", "--out", tmp_path / "o.wav")
    assert ".wav" in refused(capsys, "predict", trained, tmp_path / "in.wav", "--out", tmp_path / "o.mp3")


def test_the_registry_gives_a_callable_of_spectrograms(trained: Path) -> None:
    vocoder = load(find_kind(Run(trained).kind).functions["vocoder"])(trained, DEVICE)
    spectrogram = log_mel(vowel(4000, 0.5)[None], vocoder.mel)
    wave = vocoder(spectrogram)
    assert wave.shape == (1, spectrogram.shape[2] * 32) and not wave.requires_grad
    assert torch.equal(wave, Vocoder.load(trained, DEVICE)(spectrogram))


def test_what_cannot_be_trained_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_it = ["train", preset(tmp_path), "--runs-dir", tmp_path, "--name", "x"]
    assert "raise data.frames to 4" in refused(capsys, *train_it, "data.frames=2")
    assert "half the rate" in refused(capsys, *train_it, "mel.high=9000")
    assert "does not exist" in refused(capsys, *train_it, "data.source=nowhere")
    assert "network.width" in refused(capsys, *train_it, "network.width=0")
