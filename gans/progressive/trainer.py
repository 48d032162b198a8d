"""One step of both networks and the averaged generator: everything that changes while a GAN trains."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gans import losses
from gans.optimizer import adam, norm, set_rate
from gans.progressive.augment import adjust, augment
from gans.progressive.compilation import compiled
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage, stage_at
from gans.progressive.network import Alpha, Discriminator, Generator, fade_reals
from lab import rng
from lab.data.batches import normalise, random_flip, reduce_to
from lab.nets.second_order import is_penalised
from lab.train.collectives import gradients, ranks
from lab.train.device import Device, autocast
from lab.train.ema import EMA
from lab.train.optimizers import load_optimizer


class Trainer:
    """Generator, discriminator, their optimizers and the averaged generator.

    `images` counts real images shown to the discriminator; stage, batch size and learning rate follow from it. Each
    rank computes its own rows of the global batch; all ranks take the same steps.
    """

    def __init__(self, config: ProgressiveGANConfig, device: Device) -> None:
        self.config, self.device = config, device
        self.generator = self._placed(Generator(config.network))
        self.discriminator = self._placed(Discriminator(config.network))
        self.average = EMA(self.generator, config.training.ema_decay, bias_correction=False)
        self.images = self.steps = 0
        self._ranks = ranks()
        self._first = self._count = 0  # number of this rank's first image; images in the global batch
        self.augment_probability = config.augment.initial if config.augment.mode == "ada" else 1.0
        self._generator_optimizer = self._optimizer(self.generator)
        self._discriminator_optimizer = self._optimizer(self.discriminator)
        # What is differentiated twice stays as it is: compiled graphs have no second derivative.
        self._draw: Callable[..., Tensor] = compiled(self.generator) if config.training.compile else self.generator
        self._judge: Callable[..., Tensor] = (
            compiled(self.discriminator) if config.training.compile else self.discriminator
        )

    @property
    def stage(self) -> Stage:
        """What the next step trains."""
        return stage_at(self.config.growth, self.config.network.resolution, self.images)

    @property
    def batch_size(self) -> int:
        """Images that the next step wants, of all ranks together."""
        return self.config.training.batch_at(self.stage.resolution)

    @property
    def rows(self) -> slice:
        """Those of them that are this rank's: whole groups of the minibatch statistic."""
        return self._ranks.rows(self.batch_size, self.config.network.minibatch_group)

    def step(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """One step of the discriminator, the generator and the average.

        images: uint8 [B, C, H, W] on the device, of any size not below the stage's, this rank's `rows` where there are
        several; labels: int64 [B] for a conditional network. Returns 0-d statistics of the global batch."""
        alone = self._ranks.size == 1
        self._count = len(images) if alone else self.batch_size
        self._first = self.images if alone else self.images + self.rows.start
        stage = self._enter(self.stage)
        rate = self.config.training.rate_at(stage.resolution)
        self.discriminator.requires_grad_(True)
        reals = self._reals(images, stage)
        statistics = self._discriminator_step(reals, labels, stage, rate)
        self.discriminator.requires_grad_(False)  # its weights' gradients would be computed for nothing
        statistics |= self._generator_step(reals, labels, stage, rate)
        self.average.update(self.generator)
        self.images += self._count
        self.steps += 1
        return statistics

    def adapt(self, sign_mean: float, images: int) -> None:
        """Move the augmentation's probability after `images` on which real scores had this mean sign."""
        if self.config.augment.mode == "ada":
            self.augment_probability = adjust(self.augment_probability, sign_mean, images, self.config.augment)

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self._generator_optimizer.state_dict(),
            "discriminator_optimizer": self._discriminator_optimizer.state_dict(),
            "images": self.images,
            "steps": self.steps,
            "augment_probability": self.augment_probability,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        load_optimizer(self._generator_optimizer, state["generator_optimizer"])
        load_optimizer(self._discriminator_optimizer, state["discriminator_optimizer"])
        self.images, self.steps = state["images"], state["steps"]
        self.augment_probability = state["augment_probability"]

    def _enter(self, stage: Stage) -> Stage:
        """At a resolution's first step, forget the moments if so configured. The step before had an image or more."""
        if self.config.training.reset_optimizer and self.steps:
            before = stage_at(self.config.growth, self.config.network.resolution, self.images - 1)
            if before.level != stage.level:
                self._generator_optimizer = self._optimizer(self.generator)
                self._discriminator_optimizer = self._optimizer(self.discriminator)
        return stage

    def _reals(self, images: Tensor, stage: Stage) -> Tensor:
        """Normalised, mirrored, reduced to the stage and softened by its fade."""
        reals = reduce_to(normalise(images), stage.resolution)
        if self.config.data.flip:
            reals = random_flip(reals, self.config.seed, self._first)
        return fade_reals(reals, stage.alpha)

    def _discriminator_step(self, reals: Tensor, labels: Tensor | None, stage: Stage, rate: float) -> dict[str, Tensor]:
        set_rate(self._discriminator_optimizer, rate)
        self._discriminator_optimizer.zero_grad(set_to_none=True)
        total: dict[str, Tensor] = {}
        for rows in self._micro_batches(len(reals)):
            share = (rows.stop - rows.start) / self._count
            picked = None if labels is None else labels[rows]
            with torch.no_grad(), autocast(self.device):
                fakes = self._draw(self._latents(rows, 0), stage.level, self._alpha(stage), picked).float()
            loss, statistics = self._discriminator_loss(reals[rows], fakes, picked, stage, rows)
            (loss * share).backward()
            for name, value in statistics.items():
                total[name] = total.get(name, 0.0) + value.detach() * share
        self._ranks.all_reduce_([*gradients(self.discriminator), *total.values()])
        total["train/discriminator_gradient_norm"] = norm(gradients(self.discriminator))
        self._discriminator_optimizer.step()
        return total

    def _discriminator_loss(
        self, reals: Tensor, fakes: Tensor, labels: Tensor | None, stage: Stage, rows: slice
    ) -> tuple[Tensor, dict[str, Tensor]]:
        def shares() -> Tensor:
            which = torch.arange(self._first + rows.start, self._first + rows.stop, device=reals.device)
            return rng.uniform(self.config.seed, int(rng.Stream.INTERPOLATE), which)

        found = losses.discriminator_loss(
            self.config.loss,
            self.steps,
            reals,
            fakes,
            lambda images: self._score(images, labels, stage, rows),
            lambda one, other: self._scores(one, other, labels, stage, rows),
            shares,
        )
        return found.loss, found.statistics() | {"train/real_sign": found.real.sign().mean()}

    def _generator_step(self, reals: Tensor, labels: Tensor | None, stage: Stage, rate: float) -> dict[str, Tensor]:
        set_rate(self._generator_optimizer, rate)
        self._generator_optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device.device)
        for rows in self._micro_batches(len(reals)):
            picked = None if labels is None else labels[rows]
            with autocast(self.device):
                fakes = self._draw(self._latents(rows, 1), stage.level, self._alpha(stage), picked)
            fake = self._score(fakes.float(), picked, stage, rows)
            loss = losses.generator_loss(self.config.loss, fake, partial(self._score, reals[rows], picked, stage, rows))
            loss = loss * ((rows.stop - rows.start) / self._count)
            loss.backward()
            total = total + loss.detach()
        self._ranks.all_reduce_([*gradients(self.generator), total])
        length = norm(gradients(self.generator))
        self._generator_optimizer.step()
        return {"loss/generator": total, "train/generator_gradient_norm": length}

    def _scores(
        self, reals: Tensor, fakes: Tensor, labels: Tensor | None, stage: Stage, rows: slice
    ) -> tuple[Tensor, Tensor]:
        """Scores of both [B], in one pass where that changes no group of the minibatch statistic."""
        if len(reals) % self.config.network.minibatch_group:
            return self._score(reals, labels, stage, rows), self._score(fakes, labels, stage, rows)
        both = torch.cat([self._augmented(reals, rows), self._augmented(fakes, rows)])
        doubled = None if labels is None else torch.cat([labels, labels])
        scores = self._judged(both, stage, doubled)
        return scores[: len(reals)], scores[len(reals) :]

    def _score(self, images: Tensor, labels: Tensor | None, stage: Stage, rows: slice) -> Tensor:
        return self._judged(self._augmented(images, rows), stage, labels)

    def _judged(self, images: Tensor, stage: Stage, labels: Tensor | None) -> Tensor:
        judge = self.discriminator if is_penalised() else self._judge
        with autocast(self.device):
            return judge(images, stage.level, self._alpha(stage), labels).float()

    def _alpha(self, stage: Stage) -> Alpha:
        """A number that changes with every step would be compiled anew with every step."""
        if stage.alpha >= 1.0 or not self.config.training.compile:
            return stage.alpha
        return torch.tensor(stage.alpha, device=self.device.device)

    def _augmented(self, images: Tensor, rows: slice) -> Tensor:
        if self.config.augment.mode == "none":
            return images
        start = self._first + rows.start
        return augment(images, self.config.augment, self.augment_probability, self.config.seed, start)

    def _latents(self, rows: slice, use: int) -> Tensor:
        """[B, latent]: a pure function of the images shown, so that no generator's state need be kept."""
        which = torch.arange(self._first + rows.start, self._first + rows.stop, device=self.device.device)[:, None]
        places = torch.arange(self.config.network.latent, device=self.device.device)
        return rng.normal(self.config.seed, int(rng.Stream.LATENT), use, which, places)

    def _micro_batches(self, count: int) -> Iterator[slice]:
        size = self.config.training.micro_batch or count
        for start in range(0, count, size):
            yield slice(start, min(start + size, count))

    def _placed(self, net: Any) -> Any:
        # Channels last: a third faster on tensor cores, a tenth on a CPU, whose convolutions need no reordering then.
        return net.to(self.device.device, memory_format=torch.channels_last)

    def _optimizer(self, net: nn.Module) -> torch.optim.Adam:
        config = self.config.training
        return adam(net, config.learning_rate, (config.beta1, config.beta2))
