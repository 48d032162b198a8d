"""Presets of supervised experiments trained whole: as good as they say."""

import json
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.data.images import cache_directory

pytestmark = pytest.mark.timeout(900)
GRADES = {
    "digits": ("accuracy", 0.98),
    "digits_mlp": ("accuracy", 0.97),
    "iris": ("accuracy", 0.9),
    "diabetes": ("r2", 0.4),
    "anomalies": ("auroc", 0.95),
    "denoising": ("psnr_db", 22.0),
    "fraud": ("auprc", 0.65),
    "anomalies_density": ("auprc", 0.88),
    "anomalies_table": ("auprc", 0.8),
    "speech_denoising": ("si_sdr_gain_db", 7.5),
}

QUICK = ("digits_mlp", "iris", "diabetes")


def grade(run: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    capsys.readouterr()
    assert main(["eval", str(run), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def train(preset: str, folder: Path) -> Path:
    name = f"supervised-{preset}-001"
    assert main(["train", f"supervised/{preset}", "--runs-dir", str(folder), "--name", name]) == 0
    return folder / name


@pytest.mark.parametrize(
    "preset", [pytest.param(name, marks=pytest.mark.slow if name in QUICK else pytest.mark.long) for name in GRADES]
)
def test_it_is_as_good_as_it_should_be(preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metric, least = GRADES[preset]
    assert grade(train(preset, tmp_path), capsys)[metric] >= least


@pytest.mark.slow
def test_a_wider_layer_approximates_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["supervised/approximation", "--widths", "1,4,32", "--out", str(tmp_path / "widths.png"), "--json"]
    assert main(["approximate", *arguments]) == 0
    narrow, middle, wide = json.loads(capsys.readouterr().out)["rmse"]
    assert wide < 0.2 * middle and middle < 0.6 * narrow


@pytest.mark.long
@pytest.mark.skipif(not (cache_directory() / "cifar10.safetensors").is_file(), reason="`lab data fetch cifar10` first")
def test_a_trunk_from_other_classes_helps_where_labels_are_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train("transfer_source", tmp_path)
    scratch, transfer = (grade(train(name, tmp_path), capsys)["accuracy"] for name in ("transfer_scratch", "transfer"))
    assert transfer >= scratch + 0.05
