"""Metrics of generated images, beside the same metrics of real images against other real images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gans.quality.distances import frechet_distance, kernel_distance
from gans.quality.features import Extractor, extract
from gans.quality.ms_ssim import ms_ssim_diversity
from gans.quality.precision_recall import precision_recall
from gans.quality.swd import SMALLEST, sliced_wasserstein

_MANIFOLD = 10_000  # largest number of features for precision and recall, whose cost is quadratic
_SLICED = 4096  # largest number of images for the sliced Wasserstein distance, which limits its memory


class ImageMetrics:
    """Compares generated images with `real`, uint8 [N, C, R, R] in random order.

    others: as many real images, whose metrics are the floor; without them the floor compares two halves of `real`. An
    extractor with `classes` and `classify(features) -> int64 [N]` adds the smallest and largest fraction of a class.
    """

    def __init__(self, real: Tensor, extractor: Extractor, *, others: Tensor | None = None, seed: int = 0) -> None:
        self._real, self._others, self._extractor, self._seed = real, others, extractor, seed
        self._features = extract(extractor, real)
        self._floor: dict[str, float] | None = None

    def evaluate(self, fake: Tensor, features: Tensor | None = None) -> dict[str, float]:
        """Metrics named eval/* of uint8 [M, C, R, R]; features: those of `fake`, if they are known already."""
        features = extract(self._extractor, fake) if features is None else features
        return self._compare(self._real, self._features, fake, features) | self._alone(fake, features)

    def floor(self) -> dict[str, float]:
        """The metrics of real images, named eval/*_floor.

        MS-SSIM and class fractions, which need no second set, are computed on all of `real`.
        """
        if self._floor is None:
            if self._others is None:
                order = torch.randperm(len(self._real), generator=torch.Generator().manual_seed(self._seed))
                one, other = order.tensor_split(2)
                found = self._compare(self._real[one], self._features[one], self._real[other], self._features[other])
            else:
                features = extract(self._extractor, self._others)
                found = self._compare(self._real, self._features, self._others, features)
            found |= self._alone(self._real, self._features)
            self._floor = {f"{name}_floor": value for name, value in found.items()}
        return self._floor

    def _compare(self, real: Tensor, features: Tensor, fake: Tensor, of_fake: Tensor) -> dict[str, float]:
        # Equal numbers: precision and recall depend on the size of each set.
        count = min(_MANIFOLD, len(features), len(of_fake))
        precision, recall = precision_recall(features[:count], of_fake[:count])
        found = {
            "eval/frechet_distance": frechet_distance(features, of_fake),
            "eval/kernel_distance": kernel_distance(features, of_fake, seed=self._seed),
            "eval/precision": precision,
            "eval/recall": recall,
        }
        if real.shape[-1] >= SMALLEST:
            sliced = sliced_wasserstein(real[:_SLICED], fake[:_SLICED], seed=self._seed)
            found["eval/swd"] = sliced.pop("average")
            found |= {f"eval/swd_{resolution}": value for resolution, value in sliced.items()}
        return found

    def _alone(self, images: Tensor, features: Tensor) -> dict[str, float]:
        """Metrics of a single set."""
        found = {"eval/ms_ssim": ms_ssim_diversity(images, seed=self._seed)}
        fractions = class_fractions(self._extractor, features)
        if fractions:
            found |= {"eval/class_fraction_min": min(fractions), "eval/class_fraction_max": max(fractions)}
        return found


def recognised_fraction(extractor: Extractor, features: Tensor, labels: Tensor, classes: Sequence[str]) -> float | None:
    """Fraction of images, of which these are the features [N, D], that are recognised as the class asked for.

    labels: int64 [N], numbers of `classes`. None for an extractor that does not know all of these classes by name.
    """
    known, classify = tuple(getattr(extractor, "classes", ())), getattr(extractor, "classify", None)
    if classify is None or not set(classes) <= set(known):
        return None
    wanted = torch.tensor([known.index(name) for name in classes])[labels.cpu()]
    return float((classify(features).cpu() == wanted).double().mean())


def class_fractions(extractor: Extractor, features: Tensor) -> list[float]:
    """Fraction of each class among features [N, D]; empty for an extractor without classes."""
    classify = getattr(extractor, "classify", None)
    if classify is None:
        return []
    counts = torch.bincount(classify(features).cpu(), minlength=len(getattr(extractor, "classes", ())))
    return (counts.double() / len(features)).tolist()
