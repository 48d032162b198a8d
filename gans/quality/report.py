"""All metrics of a set of generated pictures, beside what two halves of the real ones score."""

from collections.abc import Callable

import torch
from torch import Tensor

from gans.quality.distances import frechet, kernel
from gans.quality.features import Extractor, extract
from gans.quality.manifold import precision_recall
from gans.quality.ms_ssim import ms_ssim_diversity
from gans.quality.swd import SMALLEST, sliced_wasserstein

_MANIFOLD = 5000  # features that precision and recall look at: their cost is quadratic
_SLICED = 4096  # pictures of the sliced Wasserstein distance, for its memory
_BATCH = 256


class Quality:
    """Compares generated pictures with `real`, uint8 [N, C, R, R] in random order.

    An extractor that can also `classify(images) -> [N]` adds the smallest and largest share of a class.
    """

    def __init__(self, real: Tensor, extractor: Extractor, *, seed: int = 0) -> None:
        self._real, self._extractor, self._seed = real, extractor, seed
        self._features = extract(extractor, real)
        self._floor: dict[str, float] | None = None
        self._classes: int | None = None

    def grade(self, fake: Tensor) -> dict[str, float]:
        """Metrics named quality/* of uint8 [M, C, R, R]."""
        return self._compare(self._real, self._features, fake, extract(self._extractor, fake)) | self._alone(fake)

    def floor(self) -> dict[str, float]:
        """The same between two random halves of the real pictures, named quality/*_floor.

        Similarity and classes, which need no second set, are those of all real pictures.
        """
        if self._floor is None:
            order = torch.randperm(len(self._real), generator=torch.Generator().manual_seed(self._seed))
            one, other = order.tensor_split(2)
            found = self._compare(self._real[one], self._features[one], self._real[other], self._features[other])
            found |= self._alone(self._real)
            self._floor = {f"{name}_floor": value for name, value in found.items()}
        return self._floor

    def _compare(self, real: Tensor, features: Tensor, fake: Tensor, of_fake: Tensor) -> dict[str, float]:
        # Equal numbers: a set of more points would reach farther into the other.
        count = min(_MANIFOLD, len(features), len(of_fake))
        precision, recall = precision_recall(features[:count], of_fake[:count])
        found = {
            "quality/frechet": frechet(features, of_fake),
            "quality/kernel": kernel(features, of_fake, seed=self._seed),
            "quality/precision": precision,
            "quality/recall": recall,
        }
        if real.shape[-1] >= SMALLEST:
            sliced = sliced_wasserstein(real[:_SLICED], fake[:_SLICED], seed=self._seed)
            found["quality/swd"] = sliced.pop("average")
            found |= {f"quality/swd_{resolution}": value for resolution, value in sliced.items()}
        return found

    def _alone(self, images: Tensor) -> dict[str, float]:
        """What is measured of one set by itself."""
        found = {"quality/ms_ssim": ms_ssim_diversity(images, seed=self._seed)}
        classify = getattr(self._extractor, "classify", None)
        if classify is not None:
            if self._classes is None:
                self._classes = int(_labels(classify, self._real).max()) + 1
            shares = torch.bincount(_labels(classify, images), minlength=self._classes) / len(images)
            found |= {"quality/class_share_min": float(shares.min()), "quality/class_share_max": float(shares.max())}
        return found


def _labels(classify: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([classify(rows).cpu() for rows in images.split(_BATCH)])
