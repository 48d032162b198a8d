"""The shipped presets, trained whole: generated series score like real ones."""

import json
import math
from pathlib import Path

import pytest

from lab.cli.main import main


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_autoregressive_process_is_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["tracking.wandb=off", "--runs-dir", str(tmp_path), "--name", "run"]
    assert main(["train", "series_gan/autoregressive", *settings]) == 0
    capsys.readouterr()
    assert main(["eval", "run", "--runs-dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["eval/discriminative_score"] < 0.08
    assert found["eval/autocorrelation_distance"] < 0.05
    # The least error that there is: deviations of the shock times the mean absolute value of a normal one.
    best = math.sqrt(1 - 0.8**2) * math.sqrt(2 / math.pi)
    assert found["eval/predictive_score"] == pytest.approx(best, rel=0.03)
    assert found["eval/predictive_score"] < found["eval/predictive_score_floor"] + 0.01


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_sines_are_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["tracking.wandb=off", "--runs-dir", str(tmp_path), "--name", "run"]
    assert main(["train", "series_gan/sines", *settings]) == 0
    capsys.readouterr()
    assert main(["eval", "run", "--runs-dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["eval/discriminative_score"] < 0.1
    assert found["eval/autocorrelation_distance"] < 0.05
    assert found["eval/predictive_score"] < found["eval/predictive_score_floor"] + 0.03
