"""The growth schedule: a pure function of the images shown."""

from typing import NamedTuple

from gans.progressive.config import GrowthConfig


class Stage(NamedTuple):
    """`resolution` = 4 * 2**level; alpha, the weight of that resolution, is below 1 only while it fades in."""

    level: int
    resolution: int
    alpha: float


def level_of(resolution: int) -> int:
    return resolution.bit_length() - 3


def stage_at(growth: GrowthConfig, resolution: int, images: int) -> Stage:
    """The stage in force after `images` have been shown (Karras et al. 2018, section 2 and figure 2).

    The first resolution is trained for `stable_images`; each further one fades in over `fade_images`, alpha rising
    linearly from 0, and is trained for `stable_images`. Training ends at the last, `resolution`.
    """
    first, last = level_of(growth.start), level_of(resolution)
    beyond = images - growth.stable_images
    phase = growth.fade_images + growth.stable_images
    if beyond < 0 or first == last:
        return Stage(first, growth.start, 1.0)
    step = beyond // phase if phase else last
    if first + 1 + step > last:
        return Stage(last, resolution, 1.0)
    into = beyond - step * phase
    alpha = into / growth.fade_images if into < growth.fade_images else 1.0
    return Stage(first + 1 + step, growth.start * 2 ** (step + 1), alpha)


def images_by_level(growth: GrowthConfig, resolution: int, images: int) -> dict[int, int]:
    """How many of the first `images` are shown at each level, the fade to it included."""
    first, last = level_of(growth.start), level_of(resolution)
    starts = [0] + [growth.stable_images + k * (growth.fade_images + growth.stable_images) for k in range(last - first)]
    ends = [*starts[1:], max(images, starts[-1])]
    return {
        first + k: max(0, min(images, end) - start) for k, (start, end) in enumerate(zip(starts, ends, strict=True))
    }


def stages(growth: GrowthConfig, resolution: int) -> list[Stage]:
    """Stages of a run: each resolution at the start of its fade (alpha 0) and after it (alpha 1)."""
    passed = []
    for level in range(level_of(growth.start), level_of(resolution) + 1):
        if level > level_of(growth.start) and growth.fade_images:
            passed.append(Stage(level, 4 * 2**level, 0.0))
        passed.append(Stage(level, 4 * 2**level, 1.0))
    return passed


def images_until(growth: GrowthConfig, resolution: int) -> int:
    """Images shown when the last resolution has faded in."""
    steps = level_of(resolution) - level_of(growth.start)
    return steps * (growth.fade_images + growth.stable_images)
