"""Augmentation of all images that the discriminator sees, real and generated.

Every operation copies pixels or is linear in them, so that gradient penalties can differentiate twice through it.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from gans.progressive.config import AugmentConfig
from lab.data.augment import Draws, cut_out, identity, rotation_maps, scaling_maps, translate
from lab.data.resample import resample


class Augmentation:
    """The configured augmentation with its probability, which adapts in mode "ada"."""

    def __init__(self, config: AugmentConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self.probability = {"none": 0.0, "diffaug": 1.0, "ada": config.initial}[config.mode]

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Images [B, C, R, R] numbered int64 [B]."""
        return augment(images, numbers, config=self._config, probability=self.probability, seed=self._seed)

    def adapt(self, sign_mean: float, images: int) -> None:
        """Adapt the probability after `images` whose real scores had this mean sign."""
        if self._config.mode == "ada":
            self.probability = adjust(self.probability, sign_mean, images, self._config)


def augment(images: Tensor, numbers: Tensor, *, config: AugmentConfig, probability: float, seed: int) -> Tensor:
    """Images [B, C, R, R] after each operation of the policy, applied to each image with `probability`.

    "diffaug" (Zhao et al. 2020) and "ada" (Karras et al. 2020, appendix B: pixel copies, geometry resampled bilinearly
    and colour, with the brightness, contrast and saturation of diffaug). The change of an image is a function of (seed,
    its number); an image without any operation stays the same bit for bit.
    """
    policy = policy_of(config)
    steps = [
        # An operation named n times is done at least once with `probability`.
        (name, Draws(seed, numbers, number), 1.0 - (1.0 - probability) ** (1.0 / policy.count(name)))
        for number, name in enumerate(policy)
    ]
    for geometric, group in itertools.groupby(steps, lambda step: step[0] in GEOMETRY):
        if geometric:
            images = _transformed(images, list(group))
            continue
        for name, draws, chance in group:
            images = torch.where(draws.uniform(0) < chance, OPERATIONS[name](images, draws), images)
    return images


def adjust(probability: float, sign_mean: float, images: int, config: AugmentConfig) -> float:
    """The probability after `images` whose real scores had this mean sign (Karras et al. 2020, section 3.1)."""
    step = images / config.speed_images
    direction = (sign_mean > config.target) - (sign_mean < config.target)
    return min(max(probability + direction * step, 0.0), 1.0)


def policy_of(config: AugmentConfig) -> tuple[str, ...]:
    """The operations in force, in order."""
    return config.policy or POLICIES[config.mode]


def _transformed(images: Tensor, steps: list[tuple[str, Draws, float]]) -> Tensor:
    """Consecutive geometric operations are one map, so that pixels are interpolated once."""
    sources = torch.eye(3, device=images.device).expand(len(images), 3, 3)
    touched = torch.zeros(len(images), 1, 1, 1, dtype=torch.bool, device=images.device)
    for name, draws, chance in steps:
        happens = draws.uniform(0) < chance
        # Not by @, which autocast would compute in bfloat16 or TF32.
        both = (sources[:, :, :, None] * GEOMETRY[name](draws)[:, None]).sum(2)
        sources = torch.where(happens[:, 0], both, sources)
        touched = touched | happens
    return torch.where(touched, resample(images, sources), images)


def _flip(images: Tensor, draws: Draws) -> Tensor:
    return torch.where(draws.uniform(1) < 0.5, images.flip(3), images)


def _rotate90(images: Tensor, draws: Draws) -> Tensor:
    turns = (draws.uniform(1) * 4.0).long()
    result = images
    for turn in (1, 2, 3):
        result = torch.where(turns == turn, torch.rot90(images, turn, (2, 3)), result)
    return result


def _translation(images: Tensor, draws: Draws) -> Tensor:
    """Shift by up to an eighth of the side; empty pixels are 0 (grey)."""
    height, width = images.shape[2:]
    return translate(images, _whole(draws.uniform(1), height // 8), _whole(draws.uniform(2), width // 8), "grey")


def _cutout(images: Tensor, draws: Draws) -> Tensor:
    """Set a square of half the side to 0."""
    height, width = images.shape[2:]
    top = (draws.uniform(1) * (height + 1 - height % 2)).floor()
    left = (draws.uniform(2) * (width + 1 - width % 2)).floor()
    return cut_out(images, top, left, height / 2)


def _brightness(images: Tensor, draws: Draws) -> Tensor:
    return images + (draws.uniform(1) - 0.5)


def _contrast(images: Tensor, draws: Draws) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (draws.uniform(1) + 0.5) + mean


def _saturation(images: Tensor, draws: Draws) -> Tensor:
    mean = images.mean(1, keepdim=True)
    return (images - mean) * (draws.uniform(1) * 2.0) + mean


def _whole(uniform: Tensor, most: int) -> Tensor:
    """Uniform numbers in [0, 1) -> int64 in [-most, most]."""
    return (uniform * (2 * most + 1)).long() - most


def _scale(draws: Draws) -> Tensor:
    """Scaling by a lognormal factor."""
    factor = _factor(draws)
    return scaling_maps(factor, factor)


def _rotate(draws: Draws) -> Tensor:
    """Rotation by a uniform angle."""
    return rotation_maps(draws.between(1, math.pi).flatten())


def _stretch(draws: Draws) -> Tensor:
    """Stretching by a lognormal factor that keeps the area."""
    factor = _factor(draws)
    return scaling_maps(factor, 1.0 / factor)


def _fractional_translation(draws: Draws) -> Tensor:
    """Shift by a normal fraction of the side with standard deviation 1/8; the side is 2 long."""
    sources = identity(draws.which)
    sources[:, 0, 2], sources[:, 1, 2] = (2.0 / 8.0 * draws.normal(k).flatten() for k in (1, 2))
    return sources


def _factor(draws: Draws) -> Tensor:
    return torch.exp(0.2 * math.log(2.0) * draws.normal(1).flatten())


OPERATIONS: dict[str, Callable[[Tensor, Draws], Tensor]] = {
    "flip": _flip,
    "rotate90": _rotate90,
    "translation": _translation,
    "cutout": _cutout,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
}
GEOMETRY: dict[str, Callable[[Draws], Tensor]] = {
    "scale": _scale,
    "rotate": _rotate,
    "stretch": _stretch,
    "fractional_translation": _fractional_translation,
}
"""Maps [B, 3, 3] from output to input positions: inverses of the paper's maps, whose distributions are symmetric."""
_GEOMETRIC = ("scale", "rotate", "stretch", "rotate", "fractional_translation")  # rotations let any axis be stretched
POLICIES: dict[str, tuple[str, ...]] = {
    "none": (),
    "diffaug": ("brightness", "saturation", "contrast", "translation", "cutout"),
    "ada": ("flip", "rotate90", "translation", *_GEOMETRIC, "brightness", "contrast", "saturation"),
}
