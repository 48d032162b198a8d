"""Augmentation of what the critic sees, real and generated alike, through which gradients flow any number of times.

Every operation is a copy of pixels or linear in them, so that gradient penalties, which differentiate twice, pass.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gans.config import AugmentConfig
from lab import rng

_Uniform = Callable[[int], Tensor]
"""Draw number k, uniform in (0, 1), [B, 1, 1, 1]."""


def augment(images: Tensor, config: AugmentConfig, probability: float, seed: int, start: int) -> Tensor:
    """Images [B, C, H, W], each operation of the mode's policy applied to each with `probability`.

    "diffaug" (Zhao et al. 2020) and "ada" (Karras et al. 2020, pixel copies and colour). Image i is changed by
    draws of (seed, start + i) alone.
    """
    which = torch.arange(start, start + len(images), device=images.device)
    for number, name in enumerate(policy_of(config)):

        def uniform(draw: int, number: int = number) -> Tensor:
            return rng.uniform(seed, int(rng.Stream.AUGMENT), which, number, draw)[:, None, None, None]

        changed = OPERATIONS[name](images, uniform)
        images = torch.where(uniform(0) < probability, changed, images)
    return images


def adjust(probability: float, sign_mean: float, images: int, config: AugmentConfig) -> float:
    """The probability after `images` on which real scores had this mean sign (Karras et al. 2020, section 3.1)."""
    step = images / config.speed_images
    direction = (sign_mean > config.target) - (sign_mean < config.target)
    return min(max(probability + direction * step, 0.0), 1.0)


def policy_of(config: AugmentConfig) -> tuple[str, ...]:
    """The operations in force, in order."""
    return config.policy or POLICIES[config.mode]


def _flip(images: Tensor, uniform: _Uniform) -> Tensor:
    return torch.where(uniform(1) < 0.5, images.flip(3), images)


def _rotate90(images: Tensor, uniform: _Uniform) -> Tensor:
    turns = (uniform(1) * 4.0).long()
    result = images
    for turn in (1, 2, 3):
        result = torch.where(turns == turn, torch.rot90(images, turn, (2, 3)), result)
    return result


def _translation(images: Tensor, uniform: _Uniform) -> Tensor:
    """By up to an eighth of the side, zeros (grey) coming in."""
    height, width = images.shape[2:]
    down = _whole(uniform(1), height // 8)
    right = _whole(uniform(2), width // 8)
    rows = torch.arange(height, device=images.device)[None, None, :, None] - down
    columns = torch.arange(width, device=images.device)[None, None, None, :] - right
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    moved = images.gather(2, rows.clamp(0, height - 1).expand(images.shape))
    moved = moved.gather(3, columns.clamp(0, width - 1).expand(images.shape))
    return moved * inside


def _cutout(images: Tensor, uniform: _Uniform) -> Tensor:
    """A square of half the side becomes 0."""
    height, width = images.shape[2:]
    top = (uniform(1) * (height + 1 - height % 2)).floor()
    left = (uniform(2) * (width + 1 - width % 2)).floor()
    rows = torch.arange(height, device=images.device)[None, None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, None, :]
    outside = ((rows - top).abs() >= height / 4) | ((columns - left).abs() >= width / 4)
    return images * outside


def _brightness(images: Tensor, uniform: _Uniform) -> Tensor:
    return images + (uniform(1) - 0.5)


def _contrast(images: Tensor, uniform: _Uniform) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (uniform(1) + 0.5) + mean


def _saturation(images: Tensor, uniform: _Uniform) -> Tensor:
    mean = images.mean(1, keepdim=True)
    return (images - mean) * (uniform(1) * 2.0) + mean


def _whole(uniform: Tensor, most: int) -> Tensor:
    """int64, -most to most."""
    return (uniform * (2 * most + 1)).long() - most


OPERATIONS: dict[str, Callable[[Tensor, _Uniform], Tensor]] = {
    "flip": _flip,
    "rotate90": _rotate90,
    "translation": _translation,
    "cutout": _cutout,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
}
POLICIES: dict[str, tuple[str, ...]] = {
    "none": (),
    "diffaug": ("brightness", "saturation", "contrast", "translation", "cutout"),
    "ada": ("flip", "rotate90", "translation", "brightness", "contrast", "saturation"),
}
