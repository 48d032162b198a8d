"""Metrics of what the generator makes, while training waits or beside it."""

import copy
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.dataset import reals_at
from gans.progressive.model import Sampler
from gans.progressive.sampling import sample
from gans.quality.features import load_extractor
from gans.quality.report import Quality
from lab.data.images import ImageSet
from lab.train import device as devices
from lab.train.device import Device

_SMALLEST = 16  # the metrics' patches and features need something to look at
_log = logging.getLogger(__name__)


class Measured(NamedTuple):
    """Metrics of the generator that had been shown so many images."""

    images: int
    metrics: dict[str, float]


class Grading(Protocol):
    """Has generators measured, here or elsewhere, one at a time."""

    def ask(self, images: int, sampler: Sampler) -> None:
        """Begins to measure the generator as it is now; not if another is still being measured."""
        ...

    @property
    def pending(self) -> int | None:
        """The images shown to the generator that is being measured."""
        ...

    def answers(self, wait: bool = False) -> list[Measured]:
        """What has come since the last call, each once; with `wait` all that was asked for."""
        ...

    def close(self) -> None:
        """Lets go of whatever measures elsewhere."""
        ...


class Measurer:
    """Compares samples with real pictures of the same stage."""

    def __init__(self, config: ProgressiveGANConfig, data: ImageSet, device: Device) -> None:
        self._config, self._data, self.device = config, data, device
        self._quality: dict[int, Quality] = {}

    def measure(self, sampler: Sampler) -> dict[str, float]:
        count, resolution = self._config.evaluate.samples, sampler.stage.resolution
        if resolution not in self._quality:
            real = reals_at(self._data, 2 * count, sampler.stage._replace(alpha=1.0))
            extractor = load_extractor(self._config.evaluate.extractor, self.device)
            others = real[count:] if len(real) == 2 * count else None  # the floor compares as many
            self._quality = {resolution: Quality(real[:count], extractor, others=others, seed=self._config.seed)}
        quality = self._quality[resolution]
        found = quality.grade(sample(sampler, range(count), self._config.seed + 1)) | quality.floor()
        return found | {"eval/images_shown": float(sampler.images_shown)}


class GradingHere:
    """Measures at once, where training is."""

    pending = None

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer
        self._answers: list[Measured] = []

    def ask(self, images: int, sampler: Sampler) -> None:
        self._answers.append(Measured(images, self._measurer.measure(sampler)))

    def answers(self, wait: bool = False) -> list[Measured]:
        answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        pass


class GradingBeside:
    """Measures a copy of the generator on another device, in a thread. A process that is killed loses it."""

    def __init__(self, measurer: Measurer) -> None:
        self._measurer = measurer
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="grading")
        self._asked: tuple[int, Future[dict[str, float]]] | None = None

    @property
    def pending(self) -> int | None:
        return self._asked[0] if self._asked else None

    def ask(self, images: int, sampler: Sampler) -> None:
        if self._asked:
            _log.warning("no metrics at %d images: those at %d are still being taken", images, self._asked[0])
            return
        device = self._measurer.device
        snapshot = copy.deepcopy(sampler.generator).to(device.device)
        moved = Sampler(snapshot, sampler.config, sampler.stage, sampler.images_shown, device)
        self._asked = images, self._pool.submit(self._measurer.measure, moved)

    def answers(self, wait: bool = False) -> list[Measured]:
        if self._asked is None or not (wait or self._asked[1].done()):
            return []
        (images, future), self._asked = self._asked, None
        return [Measured(images, future.result())]

    def close(self) -> None:
        self._pool.shutdown()


def make_grading(config: ProgressiveGANConfig, data: ImageSet, training: Device) -> Grading:
    """In this process, on `evaluate.device` or where training is."""
    if config.evaluate.device:
        return GradingBeside(Measurer(config, data, devices.resolve(config.evaluate.device)))
    return GradingHere(Measurer(config, data, training))


def is_measured(sampler: Sampler) -> bool:
    """Whether there is anything to measure at this stage."""
    return sampler.config.evaluate.samples > 0 and sampler.stage.resolution >= _SMALLEST
