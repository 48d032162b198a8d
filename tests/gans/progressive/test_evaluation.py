"""Grading beside training: the same metrics, later, under the images they belong to."""

from pathlib import Path

import pytest
import torch

from gans.progressive.evaluation import GradingBeside, GradingHere, Measurer
from gans.progressive.growth import Stage
from gans.progressive.model import Sampler
from gans.progressive.network import Generator
from lab.data.images import open_images
from lab.run import checkpoint, metrics
from tests.command_line import lab
from tests.gans.small_gan import DEVICE, config, preset

METRICS = {"samples": 32, "grid": 2}


def sampler(images: int) -> Sampler:
    torch.manual_seed(images)
    settings = config()
    return Sampler(Generator(settings.network).eval(), settings, Stage(2, 16, 1.0), images, DEVICE)


def measurer() -> Measurer:
    return Measurer(config(evaluate=METRICS), open_images("digits"), DEVICE)


def test_what_is_measured_beside_training_equals_what_training_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    here, beside = GradingHere(measurer()), GradingBeside(measurer())
    first, second = sampler(400), sampler(500)
    beside.ask(400, first)
    assert beside.pending == 400
    beside.ask(500, second)  # at most one is on its way
    assert "no metrics at 500 images" in caplog.text
    here.ask(400, first)
    assert beside.answers(wait=True) == here.answers() != []
    assert beside.pending is None and beside.answers(wait=True) == []
    beside.ask(500, second)
    (found,) = beside.answers(wait=True)
    assert found.images == found.metrics["eval/images_shown"] == 500
    beside.close()


def test_a_generator_may_train_on_while_it_is_measured() -> None:
    here, beside, one = GradingHere(measurer()), GradingBeside(measurer()), sampler(400)
    here.ask(400, one)
    beside.ask(400, one)
    with torch.no_grad():
        for parameter in one.generator.parameters():
            parameter.zero_()
    assert beside.answers(wait=True) == here.answers()
    beside.close()


def test_a_run_records_grades_once_and_waits_for_the_last(tmp_path: Path) -> None:
    file = preset(tmp_path, evaluate=METRICS | {"device": "cpu", "every": 3})
    lab("train", file, "--runs-dir", tmp_path, "--name", "run")
    graded = [
        entry.metrics["eval/images_shown"]
        for entry in metrics.read(tmp_path / "run" / "metrics.jsonl")
        if "eval/images_shown" in entry.metrics
    ]
    assert graded[-1] == 416 and graded == sorted(set(graded)) and set(graded) <= {288, 384, 416}


def test_the_best_may_be_chosen_by_what_is_measured_beside_training(tmp_path: Path) -> None:
    best = "eval/frechet_distance"
    file = preset(tmp_path, evaluate=METRICS | {"device": "cpu", "every": 3, "best": best})
    lab("train", file, "--runs-dir", tmp_path, "--name", "run")
    found = {
        int(entry.metrics["eval/images_shown"]): entry.metrics[best]
        for entry in metrics.read(tmp_path / "run" / "metrics.jsonl")
        if "eval/images_shown" in entry.metrics
    }
    kept = checkpoint.read_manifest(tmp_path / "run" / "checkpoints" / "best")
    assert kept.counters["images"] == min(found, key=lambda images: found[images])


def test_metrics_are_taken_in_one_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave out one"):
        config(evaluate={"device": "cpu"}, cluster={"evaluator": True})
