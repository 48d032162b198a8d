"""Data augmentation of training images; each operation is enabled by its setting."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lab.data.augment import Draws, cut_out, rotate_hue, rotation_maps, scaling_maps, to_greyscale, translate
from lab.data.batches import mirror_some, random_flip
from lab.data.resample import resample
from lab.supervised.config import AugmentConfig

Operation = Callable[[Tensor, Draws, AugmentConfig], Tensor]


def augment(images: Tensor, config: AugmentConfig, seed: int, start: int, mirrored: Tensor | None = None) -> Tensor:
    """Augmented images [B, C, R, R] in [-1, 1]; the draws of image i depend only on (seed, start + i).

    Rotation and scale form one geometric map, so that pixels are interpolated once. mirrored: which images are
    mirrored, bool [B], in place of random draws.
    """
    if config.mirror:
        images = random_flip(images, seed, start) if mirrored is None else mirror_some(images, mirrored)
    which = torch.arange(start, start + len(images), device=images.device)
    for number, (name, operation) in enumerate(OPERATIONS.items()):
        if any(getattr(config, setting) for setting in SETTINGS.get(name, (name,))):
            images = operation(images, Draws(seed, which, number), config)
    return images


def _crop(images: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    steps = 2 * config.crop + 1
    down, right = ((draw * steps).long() - config.crop for draw in draws.uniforms(2))
    return translate(images, down, right, config.border)


def _geometry(images: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    sources = rotation_maps(draws.between(0, math.radians(config.rotation)).flatten())
    factor = torch.exp(draws.between(1, math.log1p(config.scale))).flatten()
    # Not by @, which may run in bfloat16 or TF32.
    sources = (sources[:, :, :, None] * scaling_maps(factor, factor)[:, None]).sum(2)
    return resample(images, sources)


def _hue(images: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    if images.shape[1] != 3:
        return images
    return rotate_hue(images, draws.between(0, 2.0 * math.pi * config.hue)).clamp(-1.0, 1.0)


def _grey(images: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    if images.shape[1] != 3:
        return images
    return torch.where(draws.uniform(0) < config.grey, to_greyscale(images), images)


def _noise(images: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    return images + 2.0 * config.noise * draws.noise(images.shape[1:])


def _cutout(images: Tensor, draws: Draws, config: AugmentConfig) -> Tensor:
    height, width = images.shape[2:]
    # An even side needs a centre between pixels.
    offset = 0.5 * (1 - config.cutout % 2)
    down, right = draws.uniforms(2)
    top, left = (down * height).floor() - offset, (right * width).floor() - offset
    return cut_out(images, top, left, config.cutout)


OPERATIONS: dict[str, Operation] = {
    "crop": _crop,
    "geometry": _geometry,
    "hue": _hue,
    "grey": _grey,
    "noise": _noise,
    "cutout": _cutout,
}
SETTINGS = {"geometry": ("rotation", "scale")}
"""Settings of operations that are not named after their setting."""
