"""Milestones that classify digits: the data they find, LeNet-5, dropout and the fit of a classifier."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lab.data.images import write_images
from lab.errors import UserError
from lab.milestones import dropout, lenet
from lab.milestones.digit_sets import binary_digits, digit_sets, pixels
from lab.milestones.fitting import error_rate, fit_classifier
from lab.milestones.report import Report
from lab.milestones.seeded import Line, seeded
from lab.train.config import ScheduledOptimizerConfig


@pytest.fixture
def no_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    return tmp_path


def test_without_mnist_the_digits_are_scikit_learns(no_mnist: Path) -> None:
    data = digit_sets()
    assert not data.is_mnist and data.side == 8
    assert (len(data.images), len(data.test_images)) == (1437, 360)
    assert "lab data fetch mnist" in data.notes[0]
    assert pixels(data.images, data.side).shape == (1437, 64)


def test_stored_mnist_is_used_without_its_margin(no_mnist: Path) -> None:
    images = np.zeros((3, 1, 32, 32), np.uint8)
    images[:, :, 2, 2] = 255
    for name in ("mnist", "mnist_test"):
        write_images(
            no_mnist / f"{name}.safetensors", iter(images), shape=images.shape, labels=np.arange(3), classes="abc"
        )
    data = digit_sets()
    assert data.is_mnist and data.side == 28 and data.notes == ()
    found = pixels(data.images, data.side)
    assert found.shape == (3, 784) and bool((found[:, 0] == 1.0).all()) and float(found.sum()) == 3.0


def test_a_file_that_is_not_mnist_is_refused(no_mnist: Path) -> None:
    for name in ("mnist", "mnist_test"):
        write_images(
            no_mnist / f"{name}.safetensors",
            iter(np.zeros((3, 1, 32, 32), np.uint8)),
            shape=(3, 1, 32, 32),
            labels=None,
        )
    with pytest.raises(UserError, match="lab data fetch mnist --overwrite"):
        digit_sets()


def test_binary_digits_are_bits_of_both_parts() -> None:
    train, test = binary_digits()
    assert train.shape == (1437, 64) and test.shape == (360, 64)
    assert set(train.unique().tolist()) == {0.0, 1.0}


def test_lenet_has_the_layers_of_the_source() -> None:
    network = lenet.LeNet5()
    assert sum(parameter.numel() for parameter in network.parameters()) == lenet.PARAMETERS
    x, shapes = torch.zeros(2, 1, 32, 32), []
    for layer in network:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(6, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 10, 10), (16, 5, 5), (400,), (10,)]


def test_distortion_of_an_image_does_not_depend_on_its_batch() -> None:
    images = torch.randint(256, (6, 1, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    together = lenet.distorted(images, 10, seed=3)
    torch.testing.assert_close(together[4:], lenet.distorted(images[4:], 14, seed=3))
    assert not torch.equal(together, lenet.distorted(images, 11, seed=3))
    assert float(together.abs().max()) <= 1.0


def test_half_the_weights_are_the_geometric_mean_of_all_subnetworks() -> None:
    assert dropout.geometric_mean_difference(0) < 1e-12


def test_classifier_learns_separable_classes() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(200, 2)
    labels = (inputs[:, 0] > 0).long()
    network, losses = nn.Linear(2, 2), []
    config = ScheduledOptimizerConfig(optimizer="adam", learning_rate=0.1, weight_decay=0.0)
    fit_classifier(
        network, inputs, labels, epochs=10, batch_size=20, config=config, seed=0,
        after_epoch=lambda epoch, loss: losses.append((epoch, loss)),
    )  # fmt: skip
    assert [epoch for epoch, _ in losses] == list(range(1, 11))
    assert losses[-1][1] < losses[0][1]
    assert error_rate(network, inputs, labels) < 0.03
    assert error_rate(network, inputs, 1 - labels) == 1.0 - error_rate(network, inputs, labels)


def test_a_seeded_run_repeats_and_leaves_the_generators_alone() -> None:
    drawn: list[float] = []

    @seeded
    def run(seed: int, line: Line) -> Report:
        drawn.append(torch.rand(1).item())
        return Report((), np.zeros((1, 1, 3), np.uint8))

    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = torch.rand(1)
    for _ in range(2):
        run(0, lambda line: None)
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lenet_learns_scikit_learns_digits(no_mnist: Path) -> None:
    torch.manual_seed(0)
    _, errors = lenet.learn(digit_sets(), 12, 0, lambda line: None)
    assert errors[-1] < 0.05
