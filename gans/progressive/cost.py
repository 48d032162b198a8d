"""What a training step costs at each resolution: its convolutions, and the remaining time of a run that grows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage, images_by_level, level_of
from gans.progressive.network import channels_at

_CPU, _GPU = (2e9, 5000.0), (5e10, 500.0)
"""Operations that fit into the time of a step beside its layers, and into the passes over a value between two layers:
20 ms and 50 ns at 100 GFLOP/s on one core. They are the start of a fit, which measured stages correct."""

_GENERATOR, _DISCRIMINATOR = 4, 9  # passes of a step, a backward pass counting twice
_RANGE, _STEPS, _TRUST = 1.5, 31, 0.02  # decades that the fit searches, values in them, weight of the start
_DECAY = 0.9  # of earlier iterations in a stage's cost


@dataclass(frozen=True)
class Conv:
    """A 3x3 or 1x1 convolution: channels in and out, input side in pixels. `first` needs no gradient of its input."""

    inputs: int
    outputs: int
    side: int
    kernel: int
    first: bool = False


def convolutions(config: ProgressiveGANConfig, stage: Stage) -> tuple[list[Conv], list[Conv]]:
    """Convolutions of generator and discriminator at a stage, in order, with the 1x1 convolutions of a fade."""
    net = config.network
    widths = [channels_at(net, 4 * 2**level) for level in range(stage.level + 1)]
    generator = [Conv(widths[0], widths[0], 4, 3)]
    discriminator = [Conv(net.channels, widths[-1], stage.resolution, 1, first=True)]
    for level in range(1, stage.level + 1):
        side = 4 * 2**level
        generator += [Conv(widths[level - 1], widths[level], side, 3), Conv(widths[level], widths[level], side, 3)]
    for level in range(stage.level, 0, -1):
        side = 4 * 2**level
        discriminator += [Conv(widths[level], widths[level], side, 3), Conv(widths[level], widths[level - 1], side, 3)]
    discriminator.append(Conv(widths[0] + int(net.minibatch_group > 1), widths[0], 4, 3))
    generator.append(Conv(widths[-1], net.channels, stage.resolution, 1))
    if stage.alpha < 1.0:
        generator.append(Conv(widths[-2], net.channels, stage.resolution // 2, 1))
        discriminator.append(Conv(net.channels, widths[-2], stage.resolution // 2, 1, first=True))
    return generator, discriminator


def operations(config: ProgressiveGANConfig, level: int, of_value: float = 0.0) -> float:
    """Operations of an image in one training step, about; of_value: those that each value between layers counts for."""
    generator, discriminator = convolutions(config, Stage(level, 4 * 2**level, 1.0))
    values = sum(one.outputs * one.side**2 for one in (*generator, *discriminator))
    return _GENERATOR * _operations(generator) + _DISCRIMINATOR * _operations(discriminator) + of_value * values


class StageCosts:
    """Seconds of an image at each resolution: measured where training has been, estimated beyond.

    On a CPU an image at 64 x 64 takes many times as long as one at 4 x 4, so that the speed of the present
    stage says nothing about the time that is left.
    """

    def __init__(self, config: ProgressiveGANConfig, device: str) -> None:
        """device: its type, such as "cpu"."""
        self._config = config
        levels = range(level_of(config.growth.start), level_of(config.network.resolution) + 1)
        self._overhead, of_value = _CPU if device == "cpu" else _GPU
        self._operations = {level: operations(config, level, of_value) for level in levels}
        self._measured: dict[int, tuple[float, float]] = {}  # seconds and images by level, the latest weigh most

    def add(self, level: int, images: int, seconds: float) -> None:
        """Record an iteration that ended at a level."""
        before_s, before = self._measured.get(level, (0.0, 0.0))
        self._measured[level] = (_DECAY * before_s + seconds, _DECAY * before + images)

    def seconds_until(self, images: int) -> float:
        """Estimated seconds of training from the start until `images` have been shown."""
        costs = self.costs()
        shown = images_by_level(self._config.growth, self._config.network.resolution, images)
        return sum(count * costs[level] for level, count in shown.items())

    def costs(self) -> dict[int, float]:
        """Seconds per image by level; in an arbitrary unit before the first measurement."""
        measured = {level: seconds / images for level, (seconds, images) in self._measured.items() if images}
        estimated = self._estimated(measured)
        return {level: measured.get(level, estimated[level]) for level in self._operations}

    def _estimated(self, measured: Mapping[int, float]) -> dict[int, float]:
        """The overhead that explains the measured stages best, and all costs under it."""
        best, found = math.inf, self._relative(self._overhead)
        for step in range(_STEPS):
            decades = _RANGE * (2.0 * step / (_STEPS - 1) - 1.0)
            relative = self._relative(self._overhead * 10.0**decades)
            ratios = [math.log(seconds / relative[level]) for level, seconds in measured.items() if seconds > 0.0]
            scale = sum(ratios) / len(ratios) if ratios else 0.0
            error = sum((ratio - scale) ** 2 for ratio in ratios) + _TRUST * decades**2
            if error < best:
                best, found = error, {level: cost * math.exp(scale) for level, cost in relative.items()}
        return found

    def _relative(self, overhead: float) -> dict[int, float]:
        batch_size_at = self._config.training.batch_size_at
        return {level: count + overhead / batch_size_at(4 * 2**level) for level, count in self._operations.items()}


def _operations(layers: Sequence[Conv]) -> float:
    return float(sum(2 * one.inputs * one.outputs * one.side**2 * one.kernel**2 for one in layers))
