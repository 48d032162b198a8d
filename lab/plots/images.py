"""Tensors to pixels, images to grids, PNG files."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.files.durable import replacing


def to_uint8(images: Tensor) -> Tensor:
    """float [..., H, W] in [-1, 1] -> uint8; values outside are clipped."""
    return ((images.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def grid(images: Tensor, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """uint8 [N, C, H, W] -> one image uint8 [H', W', C], row by row; gaps and empty cells are black."""
    count, channels, height, width = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), dtype=np.uint8)
    for index, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def enlarged(images: Tensor, scale: int) -> Tensor:
    """[..., H, W] -> [..., scale * H, scale * W], every pixel a square: small images stay sharp on a screen."""
    return images if scale == 1 else images.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def save_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 [H, W, 1|3|4] atomically. Raises UserError if the disk cannot be written."""
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(temporary, "PNG")
