"""The training step of a GAN: one gradient step of each network, then an update of the averaged generator."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor, nn

from gans.config import GANTrainingConfig
from gans.losses import AdversarialLoss, Batch, G
from lab.errors import CheckpointError
from lab.files.plain import is_count
from lab.train.device import Device
from lab.train.ema import EMA
from lab.train.schedules import value_at
from lab.train.step import GradientStep, LossTerm


class Phase(NamedTuple):
    """One gradient step of one network, taken on every `interval`-th step of the trainer."""

    name: str
    loss: Callable[..., LossTerm]
    gradient_step: GradientStep
    interval: int


class Trainer(Generic[G]):
    """Generator, discriminator, their optimizers, the averaged generator and the counters.

    `shown` counts real samples shown to the discriminator, over all ranks; random numbers and schedules depend on it.
    `steps` counts steps of the discriminator. All ranks take the same steps.
    """

    def __init__(
        self,
        loss: AdversarialLoss[G],
        config: GANTrainingConfig,
        device: Device,
        *,
        discriminator_heads: Collection[nn.Module],
        generator_heads: Collection[nn.Module],
    ) -> None:
        """discriminator_heads, generator_heads: modules that end in an output layer; see `make_optimizer`."""
        self.config = config
        self.generator, self.discriminator = loss.generator, loss.discriminator
        self.average = EMA(loss.generator, bias_correction=False)
        self.shown = self.steps = 0
        # Parameters of the generator that have been trained; the others, of later stages, equal their averages.
        self._trained: set[str] = set()
        # Walks through modules take longer than the work on small networks.
        self._of_generator = dict(loss.generator.named_parameters())
        self._of_discriminator = list(loss.discriminator.parameters())
        discriminator = GradientStep(loss.discriminator, config, device, heads=discriminator_heads)
        generator = GradientStep(loss.generator, config, device, heads=generator_heads)
        self._phases = (
            Phase("discriminator", loss.of_discriminator, discriminator, 1),
            Phase("generator", loss.of_generator, generator, config.discriminator_steps),
        )

    @property
    def learning_rate(self) -> float:
        """Configured learning rate of the generator at the next step."""
        return value_at(self.config.learning_rate, self.shown)

    def step(self, batch: Batch, learning_rate: float | None = None) -> dict[str, Tensor]:
        """One step of the discriminator; every `discriminator_steps` steps also one of the generator and its average.

        batch: this rank's rows, on the device. learning_rate: replaces the configured `learning_rate`;
        `discriminator_learning_rate` still applies. Returns 0-d statistics of the global batch.
        """
        statistics: dict[str, Tensor] = {}
        own = self.config.discriminator_learning_rate
        rate = self.learning_rate if learning_rate is None else learning_rate
        rates = {"generator": rate, "discriminator": rate if own is None else value_at(own, self.shown)}
        for phase in self._phases:
            if (self.steps + 1) % phase.interval:
                continue
            # The generator's phase does not need gradients of the discriminator's weights.
            for weight in self._of_discriminator:
                weight.requires_grad_(phase.name == "discriminator")
            found = phase.gradient_step(
                partial(self._loss_of_rows, phase, batch),
                rows=len(batch.real),
                learning_rate=rates[phase.name],
                micro_batch=self.config.micro_batch,
                mixed_precision=False,
            )
            statistics |= found.statistics | {f"train/{phase.name}_gradient_norm": found.gradient_norm}
            if phase.name == "generator":
                named = self._of_generator.items()
                self._trained.update(name for name, parameter in named if parameter.grad is not None)
                decay = value_at(self.config.ema_decay, self.shown)
                self.average.update(self.generator, decay, changed=self._trained)
        self.shown += batch.total
        self.steps += 1
        return statistics

    def iterate(self, samples: int, batch: Callable[[int], Batch]) -> dict[str, float]:
        """Steps until at least `samples` more have been shown; means of their statistics, learning rate and speed.

        batch: makes the batch that begins at this sample number.
        """
        start, first, statistics = time.perf_counter(), self.shown, MeanStatistics()
        while self.shown < first + samples:
            rate = self.learning_rate
            statistics.add(self.step(batch(self.shown)))
        metrics = statistics.compute()  # the only wait for the device in an iteration
        speed = (self.shown - first) / (time.perf_counter() - start)
        return metrics | {"train/learning_rate": rate, "train/samples_per_s": speed}

    def _loss_of_rows(self, phase: Phase, batch: Batch, rows: slice) -> LossTerm:
        return phase.loss(batch.rows(rows), step=self.steps, shown=self.shown)

    def reset_optimizers(self) -> None:
        """Forget the moments of both optimizers."""
        for phase in self._phases:
            phase.gradient_step.reset()

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {phase.name: phase.gradient_step.state_dict() for phase in self._phases},
            "shown": self.shown,
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises CheckpointError where the state belongs to other networks or optimizers."""
        try:
            self.generator.load_state_dict(state["generator"])
            self.discriminator.load_state_dict(state["discriminator"])
            self.average.load_state_dict(state["average"])
            for phase in self._phases:
                phase.gradient_step.load_state_dict(state["optimizers"][phase.name])
            if not is_count(state["shown"]) or not is_count(state["steps"]):
                raise ValueError("the number of steps is damaged")
            self.shown, self.steps = state["shown"], state["steps"]
            averages = dict(self.average.module.named_parameters())
            named = self.generator.named_parameters()
            self._trained = {name for name, parameter in named if not torch.equal(parameter, averages[name])}
        except (LookupError, TypeError, AttributeError, RuntimeError, ValueError):  # torch's message: a line per tensor
            raise CheckpointError("its networks are not those of this run's config.yaml") from None


class MeanStatistics:
    """Mean of each statistic over the steps of an iteration that report it."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, statistics: Mapping[str, Tensor]) -> None:
        """Add the statistics of a step, 0-d tensors on the device."""
        for name, value in statistics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def compute(self) -> dict[str, float]:
        """The means; waits for the device. Raises FloatingPointError where a gradient is NaN or infinite."""
        sums = torch.stack(list(self._sums.values()))
        means = sums / torch.tensor(list(self._counts.values()), device=sums.device)
        found = dict(zip(self._sums, means.tolist(), strict=True))
        for name, value in found.items():
            if name.endswith("gradient_norm") and not math.isfinite(value):
                raise FloatingPointError(f"{name} is NaN or infinite")
        return found
