"""A convolution that whitens the patches of images: fixed weights, which are computed from training images."""

import torch
from torch import Tensor

from lab.nets.layers import Conv2d


class Whitening(Conv2d):
    """[B, C, R, R] -> [B, 2 * C * K * K, R - K + 1, R - K + 1]: principal components of patches, each with both signs.

    After `fit` the first half of the outputs has zero mean and unit covariance over the patches of the fitted images,
    up to `epsilon`; the second half is its negative, so that an activation keeps both signs. The weight is not trained,
    the bias is. Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 3.1; before him Page
    2019 and tysam-code 2023 (hlb-CIFAR10).
    """

    def __init__(self, in_channels: int, kernel_size: int = 2, *, epsilon: float = 5e-4) -> None:
        """epsilon: added to the eigenvalues, as a fraction of the mean variance of a pixel."""
        super().__init__(in_channels, 2 * in_channels * kernel_size**2, kernel_size, padding=0)
        self.epsilon = epsilon
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Set weight and bias from images [N, C, R, R]; in double precision on the images' device."""
        size = self.kernel_size[0]
        patches = images.unfold(2, size, 1).unfold(3, size, 1).permute(0, 2, 3, 1, 4, 5)
        patches = patches.reshape(-1, self.weight[0].numel()).double()
        mean = patches.mean(0)
        centred = patches - mean
        covariance = centred.mT @ centred / len(patches)
        values, vectors = torch.linalg.eigh(covariance)
        values = values.flip(0).clamp(min=0.0) + self.epsilon * covariance.diagonal().mean()
        # A constant image has no variance; its components are 0.
        scale = torch.where(values > 0.0, values, torch.inf).rsqrt()
        weight = vectors.flip(1).mT * scale[:, None]
        bias = -weight @ mean
        self.weight.copy_(torch.cat([weight, -weight]).view_as(self.weight))
        assert self.bias is not None
        self.bias.copy_(torch.cat([bias, -bias]))

    def forward(self, x: Tensor) -> Tensor:
        """In float32 also under autocast: small components are amplified up to 1 / sqrt(epsilon)."""
        kind = x.device.type
        if x.is_meta or not torch.is_autocast_enabled(kind):  # meta tensors have no autocast
            return super().forward(x)
        with torch.autocast(kind, enabled=False):
            return super().forward(x.float()).to(torch.get_autocast_dtype(kind))
