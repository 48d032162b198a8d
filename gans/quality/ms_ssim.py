"""Multi-scale structural similarity as a measure of diversity (Wang et al. 2003; Odena et al. 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """uint8 or float [B, C, R, R] in [0, 255] -> [B], 1 for equal images.

    The paper's five scales, as many of them as the window fits, their weights scaled to sum to 1.
    """
    one, other = x.float(), y.float()
    scales = next((n for n in range(5, 0, -1) if x.shape[-1] // 2 ** (n - 1) >= _WINDOW), 1)
    weights = torch.tensor(_WEIGHTS[:scales], device=x.device)
    weights = weights / weights.sum()
    result = torch.ones(len(x), device=x.device)
    for scale in range(scales):
        similarity, contrast = _ssim(one, other)
        value = similarity if scale == scales - 1 else contrast
        result = result * value.clamp_min(0.0) ** weights[scale]
        if scale < scales - 1:
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
    return result


def ms_ssim_diversity(images: Tensor, pairs: int = 2000, seed: int = 0) -> float:
    """Mean over random pairs of different images of uint8 [N, C, R, R]. ValueError for fewer than two."""
    if len(images) < 2:
        raise ValueError("MS-SSIM of pairs needs two images")
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, len(images), (pairs,), generator=generator)
    other = (first + torch.randint(1, len(images), (pairs,), generator=generator)) % len(images)
    first, other = first.to(images.device), other.to(images.device)
    parts = [ms_ssim(images[a], images[b]) for a, b in zip(first.split(256), other.split(256), strict=True)]
    return float(torch.cat(parts).mean())


def _ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Structural similarity and its contrast-structure factor, means per image [B]."""
    channels, size = x.shape[1], min(_WINDOW, x.shape[-1])
    places = torch.arange(size, device=x.device) - (size - 1) / 2
    line = torch.exp(-places.square() / (2 * _SIGMA**2))
    line = line / line.sum()
    window = torch.outer(line, line).expand(channels, 1, size, size)
    stacked = [F.conv2d(image, window, groups=channels) for image in (x, y, x * x, y * y, x * y)]
    mean_x, mean_y, square_x, square_y, product = stacked
    var_x, var_y, covariance = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    contrast = (2 * covariance + _C2) / (var_x + var_y + _C2)
    similarity = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1) * contrast
    return similarity.mean((1, 2, 3)), contrast.mean((1, 2, 3))
