"""Precision of a progressive GAN's steps with precision=auto on a CPU, with faked timings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gans.progressive import precision
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.cost import operations
from gans.progressive.experiment import ProgressiveGAN
from lab.train import measured_precision
from lab.train.device import Device
from lab.train.measured_precision import Calls, Candidate, PrecisionChoices
from tests.gans.small_gan import config

AUTO = Device(torch.device("cpu"), "fp32", 1, automatic=True)


@pytest.fixture(autouse=True)
def _measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measured_precision.SWITCH, "1")


def faked(monkeypatch: pytest.MonkeyPatch, *, fp32: float, bf16: float) -> list[int]:
    """Every candidate runs once and is said to take so many seconds. Returns the rows of each measurement."""
    measured: list[int] = []

    def measure(calls: Calls, *, rows: int, **_: Any) -> dict[Candidate, float]:
        measured.append(rows)
        for call in calls.values():
            call(rows)
        return {Candidate("fp32"): fp32, Candidate("bf16"): bf16}

    monkeypatch.setattr(measured_precision, "measure", measure)
    return measured


def experiment(directory: Path, **changes: Any) -> ProgressiveGAN:
    directory.mkdir(exist_ok=True)
    return ProgressiveGAN(config(**changes), directory, AUTO)


def test_a_run_keeps_its_choice_and_uses_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = faked(monkeypatch, fp32=4.0, bf16=1.0)
    assert experiment(tmp_path / "run").trainer.device.precision == "bf16"
    assert "training bf16 (4.0x fp32)" in capsys.readouterr().out
    faked(monkeypatch, fp32=1.0, bf16=4.0)
    assert experiment(tmp_path / "run").trainer.device.precision == "bf16"
    assert "training bf16 (kept)" in capsys.readouterr().out
    assert measured == [8]


@pytest.mark.parametrize("changes", [{}, {"network": {"classes": 10}}, {"loss": {"name": "relativistic"}}])
def test_a_measurement_leaves_the_networks_as_they_would_be(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, fp32=1.0, bf16=1.0)
    torch.manual_seed(0)
    measured = experiment(tmp_path / "measured", **changes).trainer
    monkeypatch.setenv(measured_precision.SWITCH, "0")
    torch.manual_seed(0)
    other = experiment(tmp_path / "other", **changes).trainer
    assert measured.device.precision == other.device.precision == "fp32"
    for one, two in zip(measured.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(one, two) and one.grad is None


def test_evaluations_of_a_run_in_bf16_stay_in_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, fp32=4.0, bf16=1.0)
    assert experiment(tmp_path / "run").sampler().device.precision == "fp32"


@pytest.mark.parametrize(("resolution", "width", "rows"), [(16, 8, 8), (1024, 512, 4)])
def test_a_measured_step_is_within_its_bound(
    resolution: int, width: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def steps(
        _config: ProgressiveGANConfig, _device: Device, level: int, most: int
    ) -> dict[Candidate, Callable[[int], object]]:
        seen.append((level, most))
        return {Candidate("fp32"): lambda count: count}

    monkeypatch.setattr(precision, "_steps", steps)
    large = config(network={"resolution": resolution, "fmap_base": 8192, "fmap_max": width})
    precision.training_device(PrecisionChoices(None, AUTO), large, AUTO)
    level, most = seen[0]
    assert most >= rows and most * operations(large, level) <= 2e10
