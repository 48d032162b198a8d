"""All metrics of a set of generated pictures, beside what two halves of the real ones score."""

import torch
from torch import Tensor

from gans.quality.distances import frechet, kernel
from gans.quality.features import Extractor, extract
from gans.quality.manifold import precision_recall
from gans.quality.ms_ssim import ms_ssim_diversity
from gans.quality.swd import SMALLEST, sliced_wasserstein

_MANIFOLD = 5000  # features that precision and recall look at: their cost is quadratic
_SLICED = 4096  # pictures of the sliced Wasserstein distance, for its memory


class Quality:
    """Compares generated pictures with `real`, uint8 [N, C, R, R]."""

    def __init__(self, real: Tensor, extractor: Extractor, *, seed: int = 0) -> None:
        self._real, self._extractor, self._seed = real, extractor, seed
        self._features = extract(extractor, real)
        self._floor: dict[str, float] | None = None

    def grade(self, fake: Tensor) -> dict[str, float]:
        """Metrics named quality/* of uint8 [M, C, R, R]."""
        return self._compare(self._real, self._features, fake, extract(self._extractor, fake))

    def floor(self) -> dict[str, float]:
        """The same between two random halves of the real pictures, named quality/*_floor."""
        if self._floor is None:
            order = torch.randperm(len(self._real), generator=torch.Generator().manual_seed(self._seed))
            one, other = order.tensor_split(2)
            found = self._compare(self._real[one], self._features[one], self._real[other], self._features[other])
            self._floor = {f"{name}_floor": value for name, value in found.items()}
        return self._floor

    def _compare(self, real: Tensor, features: Tensor, fake: Tensor, of_fake: Tensor) -> dict[str, float]:
        precision, recall = precision_recall(features[:_MANIFOLD], of_fake[:_MANIFOLD])
        found = {
            "quality/ms_ssim": ms_ssim_diversity(fake, seed=self._seed),
            "quality/frechet": frechet(features, of_fake),
            "quality/kernel": kernel(features, of_fake, seed=self._seed),
            "quality/precision": precision,
            "quality/recall": recall,
        }
        if real.shape[-1] >= SMALLEST:
            sliced = sliced_wasserstein(real[:_SLICED], fake[:_SLICED], seed=self._seed)
            found |= {f"quality/swd_{resolution}": value for resolution, value in sliced.items()}
            found["quality/swd"] = sum(sliced.values()) / len(sliced)
        return found
