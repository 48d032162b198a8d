"""One step of both networks and the averaged generator: everything that changes while a series GAN trains."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gans import losses
from gans.optimizer import adam, norm, set_rate
from gans.series.config import SeriesGANConfig
from gans.series.network import Discriminator, Generator
from gans.series.noise import Noise, noise
from lab import rng
from lab.train.collectives import gradients
from lab.train.device import Device
from lab.train.ema import EMA
from lab.train.optimizers import load_optimizer


class Trainer:
    """Generator, discriminator, their optimizers and the averaged generator.

    `series` counts real series shown to the discriminator; random draws and the learning rate follow from it. All is
    computed in float32: networks this small gain nothing from less.
    """

    def __init__(self, config: SeriesGANConfig, channels: int, classes: int, device: Device) -> None:
        self.config, self.device = config, device
        self.generator = Generator(config.network, channels, classes).to(device.device)
        self.discriminator = Discriminator(config.network, channels, classes).to(device.device)
        self.average = EMA(self.generator, config.training.ema_decay, bias_correction=False)
        self.series = self.steps = 0
        training = config.training
        self._generator_optimizer = self._optimizer(self.generator, training.learning_rate)
        self._discriminator_optimizer = self._optimizer(
            self.discriminator, training.discriminator_learning_rate or training.learning_rate
        )

    @property
    def rate(self) -> float:
        """What both learning rates are multiplied by at the next step."""
        decay = self.config.training.decay_series
        return 1.0 if decay is None else 0.5 * (1.0 + math.cos(math.pi * min(self.series / decay, 1.0)))

    def step(self, series: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Discriminator; on every `discriminator_steps`-th step generator and average too.

        series: float32 [B, T, C], standardised, on the device; labels: int64 [B] of a conditional network. Returns
        statistics as 0-d tensors on the device, the generator's where it took a step.
        """
        training = self.config.training
        self.discriminator.requires_grad_(True)
        statistics = self._discriminator_step(series, labels)
        if (self.steps + 1) % training.discriminator_steps == 0:
            self.discriminator.requires_grad_(False)  # its weights' gradients would be computed for nothing
            statistics |= self._generator_step(series, labels)
            self.average.update(self.generator)
        self.series += len(series)
        self.steps += 1
        return statistics

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self._generator_optimizer.state_dict(),
            "discriminator_optimizer": self._discriminator_optimizer.state_dict(),
            "series": self.series,
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        load_optimizer(self._generator_optimizer, state["generator_optimizer"])
        load_optimizer(self._discriminator_optimizer, state["discriminator_optimizer"])
        self.series, self.steps = state["series"], state["steps"]

    def _discriminator_step(self, real: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        training = self.config.training
        set_rate(
            self._discriminator_optimizer, (training.discriminator_learning_rate or training.learning_rate) * self.rate
        )
        self._discriminator_optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            fake = self.generator(*self._noise(len(real), 0), labels)
        loss, statistics = self._discriminator_loss(real, fake, labels)
        loss.backward()
        statistics["train/discriminator_gradient_norm"] = norm(gradients(self.discriminator))
        self._discriminator_optimizer.step()
        return {name: value.detach() for name, value in statistics.items()}

    def _discriminator_loss(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        found = losses.discriminator_loss(
            self.config.loss,
            self.steps,
            real,
            fake,
            lambda series: self.discriminator(series, labels),
            lambda one, other: self._scores(one, other, labels),
            lambda: self._shares(len(real)),
        )
        return found.loss, found.statistics()

    def _generator_step(self, real: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        set_rate(self._generator_optimizer, self.config.training.learning_rate * self.rate)
        self._generator_optimizer.zero_grad(set_to_none=True)
        of_fake = self.discriminator(self.generator(*self._noise(len(real), 1), labels), labels)
        loss = losses.generator_loss(self.config.loss, of_fake, lambda: self.discriminator(real, labels))
        loss.backward()
        length = norm(gradients(self.generator))
        self._generator_optimizer.step()
        return {"loss/generator": loss.detach(), "train/generator_gradient_norm": length}

    def _scores(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores of both [B], in one pass."""
        doubled = None if labels is None else torch.cat([labels, labels])
        of_real, of_fake = self.discriminator(torch.cat([real, fake]), doubled).chunk(2)
        return of_real, of_fake

    def _noise(self, count: int, use: int) -> Noise:
        """A pure function of the series shown, so that no random state need be kept."""
        which = torch.arange(self.series, self.series + count, device=self.device.device)
        length = self.config.data.length
        return noise(self.config.network, length, which, self.config.seed, int(rng.Stream.LATENT), use)

    def _shares(self, count: int) -> Tensor:
        which = torch.arange(self.series, self.series + count, device=self.device.device)
        return rng.uniform(self.config.seed, int(rng.Stream.INTERPOLATE), which)

    def _optimizer(self, net: nn.Module, rate: float) -> torch.optim.Adam:
        return adam(net, rate, (self.config.training.beta1, self.config.training.beta2))
