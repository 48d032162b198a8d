"""Multi-resolution spectral loss of waves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gans.vocoder.network import log_magnitude


class SpectralLoss:
    """Weighted distance of generated waves from the recordings, the `reconstruction` of an adversarial loss."""

    def __init__(self, resolutions: Sequence[int], weight: float) -> None:
        self._resolutions, self._weight = resolutions, weight

    def __call__(self, fake: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Waves [B, T] each -> the weighted distance, and the distance itself as a statistic."""
        distance = spectral_distance(fake, real, self._resolutions)
        return self._weight * distance, {"loss/spectral": distance}


def spectral_distance(fake: Tensor, real: Tensor, resolutions: Sequence[int]) -> Tensor:
    """Waves [B, T] each -> 0-d: spectral convergence plus mean |difference of log magnitudes|, over `resolutions`.

    Yamamoto et al. 2020 (Parallel WaveGAN, section 2.2), the convergence of each row by itself.
    """
    total = fake.new_zeros(())
    for fft in resolutions:
        found, wanted = log_magnitude(fake, fft), log_magnitude(real, fft)
        difference = torch.linalg.vector_norm((found.exp() - wanted.exp()).flatten(1), dim=1)
        scale = torch.linalg.vector_norm(wanted.exp().flatten(1), dim=1)
        total = total + (difference / scale).mean() + (found - wanted).abs().mean()
    return total / len(resolutions)
