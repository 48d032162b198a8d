"""Evaluation beside training: the same metrics, later, under the images they belong to."""

from pathlib import Path

import pytest

from gans.progressive.evaluation import state_evaluator
from gans.progressive.experiment import ProgressiveGAN
from lab.cli.main import main
from lab.run import checkpoint, metrics
from tests.gans.small_gan import DEVICE, config, preset

METRICS = {"samples": 32, "grid": 2}


def test_a_checkpoint_is_evaluated_as_the_experiment_is(tmp_path: Path) -> None:
    settings = config(evaluate=METRICS)
    experiment = ProgressiveGAN(settings, tmp_path, DEVICE)
    while experiment.trainer.stage.resolution < 16:
        experiment.iterate()
    own = experiment.evaluate()
    found = state_evaluator(settings, tmp_path, DEVICE)(experiment.state_dict(), experiment.counters)
    assert found.metrics == own.metrics and "eval/frechet_distance" in own.metrics
    assert [item.name for item in found.media] == [item.name for item in own.media] == ["samples", "real"]


@pytest.mark.slow
def test_a_run_records_evaluations_once_and_waits_for_the_last(tmp_path: Path) -> None:
    file = preset(tmp_path, evaluate=METRICS | {"every": 3, "device": "cpu"})
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    found = [
        entry.metrics["eval/images_shown"]
        for entry in metrics.read(tmp_path / "run" / "metrics.jsonl")
        if "eval/images_shown" in entry.metrics
    ]
    assert found[-1] == 416 and found == sorted(set(found)) and set(found) <= {288, 384, 416}


@pytest.mark.slow
def test_the_best_may_be_chosen_by_what_is_measured_beside_training(tmp_path: Path) -> None:
    best = "eval/frechet_distance"
    file = preset(tmp_path, evaluate=METRICS | {"every": 3, "best": best, "device": "cpu"})
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    found = {
        int(entry.metrics["eval/images_shown"]): entry.metrics[best]
        for entry in metrics.read(tmp_path / "run" / "metrics.jsonl")
        if "eval/images_shown" in entry.metrics
    }
    kept = checkpoint.read_manifest(tmp_path / "run" / "checkpoints" / "best")
    assert kept.counters["images"] == min(found, key=lambda images: found[images])


def test_evaluations_run_in_one_place() -> None:
    with pytest.raises(ValueError, match="leave one out"):
        config(evaluate={"device": "cpu"}, cluster={"evaluator": True})
