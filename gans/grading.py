"""Metrics of what the generator makes, while training waits or beside it on another device."""

import copy
from concurrent.futures import Future, ThreadPoolExecutor

from gans.config import ProgressiveGANConfig
from gans.model import Sampler
from gans.quality.features import load_extractor
from gans.quality.report import Quality
from gans.reals import reals_at
from gans.sampling import sample
from lab import device as devices
from lab.data.images import ImageSet
from lab.device import Device

_SMALLEST = 16  # the metrics' patches and features need something to look at
_Metrics = dict[str, float]


class Grader:
    """Compares samples with real pictures of the same stage, on `grading.device` or where training is.

    Beside training, a copy of the generator is graded by a thread and `finished` hands its metrics over once, some
    iterations later, with the images it had been shown as "quality/images"; at most one is on its way. A process that
    is killed loses that one.
    """

    def __init__(self, config: ProgressiveGANConfig, data: ImageSet, training: Device) -> None:
        self._config, self._data, name = config, data, config.grading.device
        self._device = devices.resolve(name) if name else training
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="grading") if name else None
        self._pending: Future[_Metrics] | None = None
        self._quality: dict[int, Quality] = {}

    def grade(self, sampler: Sampler, *, now: bool) -> _Metrics:
        """Metrics of this generator; or, beside training, of the one before it if that was still on its way.

        `now` waits for this one's, which take the place of any before.
        """
        if not self._config.grading.samples or sampler.stage.resolution < _SMALLEST:
            return {}
        if self._pool is None:
            return self._measure(sampler)
        earlier = self._pending.result() if self._pending else {}
        snapshot = copy.deepcopy(sampler.generator).to(self._device.device)
        moved = Sampler(snapshot, sampler.config, sampler.stage, sampler.images_shown, self._device)
        self._pending = self._pool.submit(self._measure, moved)
        if not now:
            return earlier
        latest, self._pending = self._pending.result(), None
        return latest

    def finished(self) -> _Metrics:
        """Metrics that have come since the last call, if any; does not wait."""
        if self._pending is None or not self._pending.done():
            return {}
        found, self._pending = self._pending.result(), None
        return found

    def _measure(self, sampler: Sampler) -> _Metrics:
        count, resolution = self._config.grading.samples, sampler.stage.resolution
        if resolution not in self._quality:
            real = reals_at(self._data, 2 * count, sampler.stage._replace(alpha=1.0))
            extractor = load_extractor(self._config.grading.extractor, self._device)
            others = real[count:] if len(real) == 2 * count else None  # the floor compares as many
            self._quality = {resolution: Quality(real[:count], extractor, others=others, seed=self._config.seed)}
        quality = self._quality[resolution]
        found = quality.grade(sample(sampler, range(count), self._config.seed + 1)) | quality.floor()
        return found | {"quality/images": float(sampler.images_shown)}
