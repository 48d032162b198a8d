"""Grading beside training: the same metrics, later, under the images they belong to."""

from pathlib import Path

import pytest
import torch

from gans.experiment import build
from gans.grading import Grader
from gans.model import Sampler
from gans.network import Generator
from gans.schedule import Stage
from lab import metrics
from lab.data.images import open_images
from tests.command_line import lab
from tests.gans.small_gan import DEVICE, config, preset

GRADING = {"samples": 32, "grid": 2}


def sampler(images: int) -> Sampler:
    torch.manual_seed(images)
    settings = config()
    return Sampler(Generator(settings.network).eval(), settings, Stage(2, 16, 1.0), images, DEVICE)


def test_what_is_graded_beside_training_equals_what_training_waits_for() -> None:
    data = open_images("digits")
    waiting = Grader(config(grading=GRADING), data, DEVICE)
    beside = Grader(config(grading=GRADING | {"device": "cpu"}), data, DEVICE)
    first, second = sampler(400), sampler(500)
    assert beside.grade(first, now=False) == {}
    # At most one is on its way: the second waits for the first and hands it over.
    assert beside.grade(second, now=False) == waiting.grade(first, now=False)
    found = beside.grade(second, now=True)
    assert found == waiting.grade(second, now=True) and found["quality/images"] == 500
    assert beside.finished() == {}


def test_a_generator_may_train_on_while_it_is_graded() -> None:
    beside = Grader(config(grading=GRADING | {"device": "cpu"}), open_images("digits"), DEVICE)
    one = sampler(400)
    expected = Grader(config(grading=GRADING), open_images("digits"), DEVICE).grade(one, now=True)
    beside.grade(one, now=False)
    with torch.no_grad():
        for parameter in one.generator.parameters():
            parameter.zero_()
    assert beside.grade(one, now=False) == expected


def test_a_run_records_grades_once_and_waits_for_the_last(tmp_path: Path) -> None:
    file = preset(tmp_path, grading=GRADING | {"device": "cpu"}, evaluate={"every": 3})
    lab("train", file, "--runs-dir", tmp_path, "--name", "run")
    graded = [
        entry.metrics["quality/images"]
        for entry in metrics.read(tmp_path / "run" / "metrics.jsonl")
        if "quality/images" in entry.metrics
    ]
    assert graded[-1] == 416 and graded == sorted(set(graded)) and set(graded) <= {288, 384, 416}


def test_the_best_cannot_be_chosen_by_what_comes_later(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs metrics at once"):
        config(grading={"device": "cpu"}, evaluate={"every": 3, "best": "quality/frechet"})
    assert build(config(evaluate={"every": 3, "best": "quality/frechet"}), tmp_path, DEVICE)
