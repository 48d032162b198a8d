"""Random operations on images, on their device. The draws of an image depend only on its number."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lab import rng

Border = Literal["edge", "reflect", "black", "grey"]


@dataclass(frozen=True)
class Draws:
    """The random numbers of one operation, [B, 1, 1, 1]: draw k of image i is a function of (seed, i, operation, k)."""

    seed: int
    which: Tensor
    operation: int

    def uniform(self, k: int) -> Tensor:
        """Uniform in (0, 1)."""
        return rng.uniform(self.seed, int(rng.Stream.AUGMENT), self.which, self.operation, k)[:, None, None, None]

    def uniforms(self, count: int) -> tuple[Tensor, ...]:
        """Draws 0 to `count` - 1 at once."""
        numbers = torch.arange(count, device=self.which.device)
        drawn = rng.uniform(self.seed, int(rng.Stream.AUGMENT), self.which[:, None], self.operation, numbers)
        return drawn[:, :, None, None, None].unbind(1)

    def between(self, k: int, most: float) -> Tensor:
        """Uniform in (-most, most)."""
        return (2.0 * self.uniform(k) - 1.0) * most

    def normal(self, k: int) -> Tensor:
        """Standard normal."""
        return rng.normal(self.seed, int(rng.Stream.AUGMENT), self.which, self.operation, k)[:, None, None, None]

    def noise(self, shape: torch.Size) -> Tensor:
        """Standard normal [B, *shape]."""
        places = torch.arange(shape.numel(), device=self.which.device)
        values = rng.normal(self.seed, int(rng.Stream.AUGMENT), self.which[:, None], self.operation, places)
        return values.view(-1, *shape)


def translate(images: Tensor, down: Tensor, right: Tensor, border: Border) -> Tensor:
    """Images [B, C, H, W] translated by whole pixels, int64 [B, 1, 1, 1] each; pixels are in [-1, 1] and grey is 0.

    "edge" repeats the outermost pixels and "reflect" mirrors the image at them.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)[None, None, :, None] - down
    columns = torch.arange(width, device=images.device)[None, None, None, :] - right
    places = (_within(rows, height, border) * width + _within(columns, width, border)).flatten(2)
    found = images.flatten(2).gather(2, places.expand(-1, images.shape[1], -1)).view(images.shape)
    if border in ("edge", "reflect"):
        return found
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return found * inside if border == "grey" else torch.where(inside, found, -1.0)


def cut_out(images: Tensor, top: Tensor, left: Tensor, side: float) -> Tensor:
    """Images [B, C, H, W] with a grey (0) square of the given side centred at row `top`, column `left` [B, 1, 1, 1]."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)[None, None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, None, :]
    return images * (((rows - top).abs() >= side / 2) | ((columns - left).abs() >= side / 2))


def rotation_maps(angle: Tensor) -> Tensor:
    """Maps [B, 3, 3] for `lab.data.resample` that rotate images by angles [B] (radians)."""
    sources = identity(angle)
    sources[:, 0, 0] = sources[:, 1, 1] = angle.cos()
    sources[:, 0, 1], sources[:, 1, 0] = angle.sin(), -angle.sin()
    return sources


def scaling_maps(across: Tensor, down: Tensor) -> Tensor:
    """Maps [B, 3, 3] for `lab.data.resample` that shrink images by factors [B] each way."""
    sources = identity(across)
    sources[:, 0, 0], sources[:, 1, 1] = across, down
    return sources


def identity(like: Tensor) -> Tensor:
    """Identity maps [B, 3, 3], where B is the length of `like`."""
    return torch.eye(3, device=like.device).repeat(len(like), 1, 1)


def rotate_hue(images: Tensor, angle: Tensor) -> Tensor:
    """RGB images [B, 3, H, W] with hues rotated by angles [B, 1, 1, 1] (radians) about the axis of greys.

    Rodrigues' rotation, which keeps the mean of the channels; values may leave [-1, 1].
    """
    mean = images.mean(1, keepdim=True)
    chroma = images - mean
    # The cross product with (1, 1, 1) / sqrt(3).
    crossed = (chroma.roll(1, 1) - chroma.roll(-1, 1)) / math.sqrt(3.0)
    return mean + chroma * angle.cos() + crossed * angle.sin()


def to_greyscale(images: Tensor) -> Tensor:
    """RGB images [B, 3, H, W] with their luminance in all channels (ITU-R BT.601)."""
    weights = images.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]
    return (images * weights).sum(1, keepdim=True).expand(images.shape)


def _within(places: Tensor, size: int, border: Border) -> Tensor:
    if border == "reflect" and size > 1:
        places = places % (2 * (size - 1))
        return torch.minimum(places, 2 * (size - 1) - places)
    return places.clamp(0, size - 1)
