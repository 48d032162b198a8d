"""Random operations on images, on their device. The change of an image depends on its number alone."""

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
        """In (0, 1)."""
        return rng.uniform(self.seed, int(rng.Stream.AUGMENT), self.which, self.operation, k)[:, None, None, None]

    def uniforms(self, count: int) -> tuple[Tensor, ...]:
        """Draws 0 to `count` - 1 at once."""
        numbers = torch.arange(count, device=self.which.device)
        drawn = rng.uniform(self.seed, int(rng.Stream.AUGMENT), self.which[:, None], self.operation, numbers)
        return drawn[:, :, None, None, None].unbind(1)

    def between(self, k: int, most: float) -> Tensor:
        """In (-most, most)."""
        return (2.0 * self.uniform(k) - 1.0) * most

    def normal(self, k: int) -> Tensor:
        """Of mean 0 and deviation 1."""
        return rng.normal(self.seed, int(rng.Stream.AUGMENT), self.which, self.operation, k)[:, None, None, None]

    def noise(self, shape: torch.Size) -> Tensor:
        """[B, *shape] of mean 0 and deviation 1."""
        places = torch.arange(shape.numel(), device=self.which.device)
        values = rng.normal(self.seed, int(rng.Stream.AUGMENT), self.which[:, None], self.operation, places)
        return values.view(-1, *shape)


def translate(images: Tensor, down: Tensor, right: Tensor, border: Border) -> Tensor:
    """Images [B, C, H, W] translated by whole pixels, int64 [B, 1, 1, 1] each; pixels are -1 to 1, so that "grey" is 0.

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
    """[B, C, H, W] with the square of that side around row `top` and column `left` [B, 1, 1, 1] grey, which is 0."""
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
    """Identity maps [B, 3, 3] for a tensor of B items."""
    return torch.eye(3, device=like.device).repeat(len(like), 1, 1)


def rotate_hue(images: Tensor, angle: Tensor) -> Tensor:
    """RGB images [B, 3, H, W] with hues rotated by angles [B, 1, 1, 1] (radians) about the axis of greys.

    Rodrigues' rotation, with the mean of the channels, and so grey, unchanged; values may leave -1 to 1.
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
