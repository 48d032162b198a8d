"""Tasks: their losses and grades against independent formulas, and what each learns in a short run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn

from lab.cli.main import main
from lab.supervised.experiment import Supervised
from lab.supervised.inference import Views, predict_batch
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.network import Network
from lab.supervised.ranking import auroc
from lab.supervised.tasks.classification import Classification, confusion_counts, weights_of_classes
from lab.supervised.tasks.denoising import Denoising
from lab.supervised.tasks.task import Batch
from lab.train.device import Device
from tests.lab.small_classifier import other, written

DEVICE = Device(torch.device("cpu"), "fp32", 1)
LABELS = np.array([0, 0, 0, 1, 2, 2, 0, 0], np.int64)
ROWS = LabelledSet("rows", np.zeros((8, 3), np.float32), LABELS, ("a", "b", "c"), ("x", "y", "z"), "")


def same(values: torch.Tensor) -> Network:
    """A network that gives these values to whatever it sees."""

    class Constant(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return values[: len(inputs)]

    return Network(nn.Identity(), nn.Identity(), nn.Identity(), nn.Identity(), Constant())


@pytest.mark.parametrize("weights", ["none", "balanced", (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_weights_and_smoothing_is_torchs_mean_over_any_parts(weights: Any, smoothing: float) -> None:
    task = Classification(class_weights=weights, label_smoothing=smoothing)
    loss = task.loss(ROWS, DEVICE, 0)
    logits, labels = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.from_numpy(LABELS)
    total = weight = torch.zeros(())
    for rows in (slice(0, 3), slice(3, 8)):
        part = loss(same(logits[rows]), Batch(torch.zeros(len(labels[rows]), 3), labels[rows], labels[rows]))
        total, weight = total + part.total, weight + part.weight
    expected = F.cross_entropy(logits, labels, weights_of_classes(task, ROWS), label_smoothing=smoothing)
    torch.testing.assert_close(total / weight, expected)


def test_balanced_weights_give_every_class_the_same_say() -> None:
    weights = weights_of_classes(Classification(class_weights="balanced"), ROWS)
    assert weights is not None
    torch.testing.assert_close(weights * torch.tensor([5.0, 1.0, 2.0]), torch.full((3,), 8.0 / 3.0))


def test_the_confusion_matrix_counts_labels_by_rows() -> None:
    guesses = F.one_hot(torch.tensor([0, 1, 0, 1, 2, 0, 0, 0]), 3).float()
    assert confusion_counts(guesses, torch.from_numpy(LABELS)).tolist() == [[4, 1, 0], [0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_is_scikit_learns(ties: bool) -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=300)
    scores = scores.round(1) if ties else scores
    positive = generator.random(300) < 0.3
    ours = auroc(torch.from_numpy(scores), torch.from_numpy(positive))
    assert ours == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_a_mirrored_answer_is_the_mean_of_both() -> None:
    network = Network(nn.Identity(), nn.Identity(), nn.Flatten(), nn.Identity(), nn.Linear(4, 2))
    picture = torch.randn(3, 1, 2, 2)
    both = torch.cat([network(picture)[:, None], network(picture.flip(3))[:, None]], 1).mean(1)
    torch.testing.assert_close(predict_batch(network, picture, views=Views(mirror=True)), both)


@pytest.mark.parametrize("mirror", [False, True])
def test_an_answer_over_shifted_views_is_their_mean(mirror: bool) -> None:
    network = Network(nn.Identity(), nn.Identity(), nn.Flatten(), nn.Identity(), nn.Linear(32, 2))
    images = torch.randn(3, 2, 4, 4)
    rows = ([0, 1, 2, 3], [1, 0, 1, 2], [1, 2, 3, 2])  # itself, shifted down, shifted up, reflected at the border
    views = [images[:, :, order][..., order] for order in rows]
    views += [view.flip(3) for view in views] if mirror else []
    expected = sum(network(view) for view in views) / len(views)
    torch.testing.assert_close(predict_batch(network, images, views=Views(mirror, 1)), expected)


def test_noise_has_the_deviation_asked_for_and_belongs_to_its_picture() -> None:
    task = Denoising(noise=0.2)
    which = torch.arange(100, 164)
    noise = task.add_noise(torch.zeros(64, 1, 16, 16), which, 1)
    assert float(noise.std()) == pytest.approx(0.4, rel=0.02) and float(noise.mean()) == pytest.approx(0.0, abs=0.01)
    torch.testing.assert_close(task.add_noise(torch.zeros(1, 1, 16, 16), which[7:8], 1)[0], noise[7])


def trained(directory: Path, **sections: Any) -> dict[str, float]:
    """Grades of a small run with these sections."""
    settings = other(data={"held_out": 0.05}, **sections)
    torch.manual_seed(0)
    experiment = Supervised(settings, directory, DEVICE)
    while experiment.counters["images"] < settings.budget:
        experiment.iterate()
    return dict(experiment.evaluate().metrics)


@pytest.mark.slow
def test_denoising_takes_noise_away(tmp_path: Path) -> None:
    network = {"name": "tower", "channels": 8, "blocks": 1}
    training = {"decay_images": 1500, "learning_rate": 5e-3, "batch_size": 5}
    task = {"name": "denoising", "noise": 0.2}
    grades = trained(tmp_path, network=network, task=task, budget=1500, training=training)
    assert grades["eval/psnr_noisy_db"] == pytest.approx(-10.0 * np.log10(0.2**2), abs=0.1)
    assert grades["eval/psnr_db"] > grades["eval/psnr_noisy_db"] + 6.0


@pytest.mark.slow
def test_what_was_not_trained_on_is_rebuilt_worse(tmp_path: Path) -> None:
    task = {"name": "reconstruction", "code": 8, "normal": [0, 1]}
    training = {"decay_images": 2500, "learning_rate": 5e-3, "batch_size": 25}
    network = {"name": "cnn", "channels": [8, 16], "features": 32}
    grades = trained(tmp_path, network=network, task=task, budget=2500, training=training)
    assert grades["eval/auroc"] > 0.8
    assert (tmp_path / "samples" / "rebuilt_worst.png").is_file()


def test_regression_is_in_the_targets_unit_from_training_to_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.linspace(-5.0, 5.0, 200)
    table = tmp_path / "line.csv"
    table.write_text("a,target\n" + "".join(f"{value},{1000.0 + 30.0 * value}\n" for value in x))
    settings = other(
        data={"source": str(table)},
        task={"name": "regression"},
        network={"name": "mlp", "hidden": [16]},
        training={"decay_images": 6000, "learning_rate": 0.02, "images_per_iteration": 3000},
        budget=6000,
    )
    assert main(["train", str(written(tmp_path, settings)), "--runs-dir", str(tmp_path), "--name", "line"]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "line"), "--json"]) == 0
    grades = json.loads(capsys.readouterr().out)
    assert grades["rows"] == 40 and grades["r2"] > 0.99 and grades["rmse"] < 9.0
    (tmp_path / "new.csv").write_text("note,a\nfirst,1.0\nsecond,-2.0\n")
    assert main(["predict", str(tmp_path / "line"), str(tmp_path / "new.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert [line["input"] for line in told] == ["2", "3"]
    assert [line["value"] for line in told] == pytest.approx([1030.0, 940.0], abs=15.0)


@pytest.mark.parametrize("power", [30, -300])
def test_numbers_whose_squares_no_float_holds_are_graded(power: int, tmp_path: Path) -> None:
    table = tmp_path / "large.csv"
    table.write_text("a,target\n" + "".join(f"{n},{n}e{power}\n" for n in range(40)))
    sections = {"task": {"name": "regression"}, "network": {"name": "mlp", "hidden": [4]}}
    experiment = Supervised(other(data={"source": str(table)}, **sections), tmp_path / "run", DEVICE)
    assert np.isfinite(experiment.iterate()["loss/regression"])
    grades = experiment.evaluate().metrics
    assert -1 < np.log10(grades["eval/rmse"]) - power < 2 and np.isfinite(list(grades.values())).all()
