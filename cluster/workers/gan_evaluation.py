"""What runs in the process of a GAN's evaluator: metrics of the weights it is handed."""

import os
from collections.abc import Mapping
from typing import Any

from cluster.workers.processes import Weights, load, set_up
from gans.progressive.evaluation import Measured, Measurer
from gans.progressive.growth import stage_at
from gans.progressive.model import Sampler
from gans.progressive.network import Generator
from lab.data.images import open_images


class MeasuringWorker:
    """Compares what a generator makes with the real pictures, which it opens itself."""

    def __init__(self, settings: Mapping[str, Any], threads: int, on_gpu: bool) -> None:
        self._config, self._device = set_up(settings, threads, on_gpu)
        self._generator = Generator(self._config.network).to(self._device.device).eval()
        self._measurer = Measurer(self._config, open_images(self._config.data.source), self._device)

    def ready(self) -> int:
        """The process's id."""
        return os.getpid()

    def grade(self, images: int, weights: Weights) -> Measured:
        load(self._generator, weights)
        stage = stage_at(self._config.growth, self._config.network.resolution, images)
        sampler = Sampler(self._generator, self._config, stage, images, self._device)
        return Measured(images, self._measurer.measure(sampler))
