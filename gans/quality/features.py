"""What pictures are compared by: pixels, a classifier trained in this lab, or Inception where its weights are."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.device import Device
from lab.errors import UserError

Extractor = Callable[[Tensor], Tensor]
"""uint8 [N, C, H, W] -> float [N, D] on the CPU."""

_PIXELS = 8


def load_extractor(name: str, device: Device) -> Extractor:
    """ "pixels", "inception", or the directory of a supervised run. Raises UserError."""
    if name == "pixels":
        return pixel_features
    if name == "inception":
        raise UserError(
            "the inception extractor's weights cannot be had here: train a classifier (`lab train supervised/digits`) "
            "and give its run directory, or use pixels"
        )
    if not (Path(name) / "config.yaml").is_file():
        raise UserError(f"no extractor {name!r}; use pixels or the directory of a supervised run")
    from lab.supervised.features import load_features

    return load_features(Path(name), device)


def pixel_features(images: Tensor) -> Tensor:
    """Pictures reduced to 8x8, as vectors; coarse, and always at hand."""
    return F.adaptive_avg_pool2d(images.float(), min(_PIXELS, images.shape[-1])).flatten(1)


@torch.no_grad()
def extract(extractor: Extractor, images: Tensor, batch: int = 256) -> Tensor:
    """Features [N, D] of uint8 [N, C, H, W], in batches."""
    return torch.cat([extractor(rows).cpu().float() for rows in images.split(batch)])
