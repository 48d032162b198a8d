"""Killed in the middle of a fade and resumed, a GAN computes what the uninterrupted one does, bit for bit."""

import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.cli.main import main
from lab.data.images import ImageSet, open_images, write_images
from lab.run import metrics
from tests.command_line import lab, launch, wait_until
from tests.gans.small_gan import preset
from tests.same_run import assert_same_run

VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "bf16": {"precision": "bf16"},
    "conditional": {
        "network": {"classes": 10, "mapping_layers": 2},
        "loss": {"name": "non-saturating", "lazy": 3},
        "augment": {"mode": "ada", "initial": 0.3},
        "training": {"reset_optimizer": True, "micro_batch": 4},
    },
}


def iterations(run: Path) -> int:
    return max((entry.iteration for entry in metrics.read(run / "metrics.jsonl")), default=0)


def alphas(run: Path) -> dict[int, float]:
    return {
        e.iteration: e.metrics["stage/alpha"]
        for e in metrics.read(run / "metrics.jsonl")
        if e.metrics.get("stage/alpha")
    }


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param("paper", marks=pytest.mark.long),
        pytest.param("bf16", marks=pytest.mark.slow),
        pytest.param("conditional", marks=pytest.mark.slow),
    ],
)
def test_killed_in_a_fade_and_resumed_equals_uninterrupted(variant: str, tmp_path: Path) -> None:
    file = preset(tmp_path, **VARIANTS[variant])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    lab("train", file, "--runs-dir", tmp_path, "--name", "whole")
    process = launch("train", file, "--runs-dir", tmp_path, "--name", "killed")
    # Iteration 5 is inside the first fade and after a checkpoint at 4.
    wait_until(lambda: iterations(killed) >= 5, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and iterations(killed) < 13
    assert 0.0 < alphas(killed)[5] < 1.0
    output = lab("resume", killed)
    assert "continuing from iteration" in output
    assert_same_run(whole, killed)


@pytest.mark.slow
def test_another_data_set_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    digits = open_images("digits")
    packed = tmp_path / "set.safetensors"
    write_images(packed, digits)
    file = preset(tmp_path, data={"source": str(packed)}, budget=64)
    lab("train", file, "--runs-dir", tmp_path, "--name", "run")
    before = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    changed = digits.images.copy()
    changed[0, 0, 0, 0] ^= 1
    packed.unlink()
    write_images(packed, ImageSet("other", np.asarray(changed), digits.labels, digits.classes, ""))
    output = lab("resume", tmp_path / "run", "budget=128", code=2)
    assert "is not the data this run was trained on" in output and "Traceback" not in output
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == before
    packed.unlink()
    write_images(packed, digits)
    assert "complete" in lab("resume", tmp_path / "run", "budget=128")


def test_wrong_settings_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        ("network.channels=3",): "network.channels",
        ("network.resolution=64",): "too small",
        ("network.resolution=20",): "power of two",
        ("network.classes=7",): "10 classes",
        ("data.source=nowhere.safetensors",): "nowhere",
        ("growth.start=32",): "growth.start",
        ("training.batch_sizes.12=3",): "not a power of two",
        ("network.fmap_base=1000000", "network.fmap_max=60000", "network.resolution=16"): "free",
    }
    file = preset(tmp_path)
    for overrides, expected in cases.items():
        assert main(["train", str(file), *overrides, "--runs-dir", str(tmp_path / "runs")]) == 2
        output = capsys.readouterr().err
        assert expected in output and output.startswith("lab: "), output
        assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
