"""Handwritten digits of the milestones: MNIST where `lab data fetch mnist` stored it, else scikit-learn's digits."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.data.batches import reduce_to
from lab.data.images import cache_directory, open_images
from lab.errors import UserError

_TEST_EVERY = 5  # of scikit-learn's digits, which have no test set of their own, every fifth is held out
_DIGITS_SIDE = 8
_MNIST_MARGIN = 2  # black pixels around the published 28 x 28


@dataclass(frozen=True, eq=False)
class DigitSets:
    """Training and test digits. images: uint8 [N, 1, 32, 32]; labels: int64 [N]."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    is_mnist: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence on the data where it is not MNIST."""
        if self.is_mnist:
            return ()
        return (
            f"MNIST is not stored here (`lab data fetch mnist` stores it): measured on scikit-learn's digits, "
            f"{len(self.images):,} for training and {len(self.test_images)} for testing, so published errors of MNIST "
            "do not apply.",
        )

    @property
    def side(self) -> int:
        """Side of an image of `pixels`."""
        return self.images.shape[-1] - 2 * _MNIST_MARGIN if self.is_mnist else _DIGITS_SIDE


def digit_sets() -> DigitSets:
    """MNIST, or scikit-learn's digits without it. Raises UserError for a stored file that is damaged or is no MNIST."""
    if _is_stored("mnist") and _is_stored("mnist_test"):
        (images, labels), (test_images, test_labels) = (_tensors(name) for name in ("mnist", "mnist_test"))
        return DigitSets(images, labels, test_images, test_labels, True)
    images, labels = _tensors("digits")
    held_out = _held_out(len(images))
    return DigitSets(images[~held_out], labels[~held_out], images[held_out], labels[held_out], False)


def pixels(images: Tensor, side: int) -> Tensor:
    """Images uint8 [N, 1, 32, 32] -> intensities [N, side * side] in [0, 1].

    Side 28 leaves the black margin of MNIST out; smaller sides are averages of square blocks.
    """
    kept = images[:, :, 2:-2, 2:-2] if side == 28 else images
    return reduce_to(kept.float() / 255.0, side).flatten(1)


def binary_digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits, training [1437, 64] and test [360, 64]: 1 where a pixel has at least half its range."""
    from sklearn.datasets import load_digits

    found = torch.from_numpy(load_digits().data >= 8.0).float()
    held_out = _held_out(len(found))
    return found[~held_out], found[held_out]


def _held_out(count: int) -> Tensor:
    return torch.arange(count) % _TEST_EVERY == 0


def _is_stored(name: str) -> bool:
    try:
        return (cache_directory() / f"{name}.safetensors").is_file()
    except UserError:  # no folder for downloads: none is stored
        return False


def _tensors(name: str) -> tuple[Tensor, Tensor]:
    data = open_images(name)
    if data.labels is None or data.images.shape[1:] != (1, 32, 32):
        raise UserError(
            f"{data.path} is not MNIST as it was published: `lab data fetch mnist --overwrite` packs it again"
        )
    return torch.from_numpy(np.array(data.images)), torch.from_numpy(data.labels)
