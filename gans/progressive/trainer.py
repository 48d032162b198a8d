"""Training of growing networks: `gans.trainer.Trainer` with stages, augmentation and ranks."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from gans.losses import AdversarialLoss, Batch
from gans.progressive.augment import Augmentation
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage, stage_at
from gans.progressive.network import Alpha, Discriminator, Generator, fade_reals, noise
from gans.trainer import Trainer
from lab.config.suggestions import shortened
from lab.data.batches import normalise, random_flip, reduce_to
from lab.errors import CheckpointError
from lab.train.collectives import ranks
from lab.train.device import Device


class GrowingTrainer:
    """Trains growing networks. Stage, batch size and learning rate are functions of the images shown so far.

    Each rank computes its own rows of the global batch.
    """

    def __init__(self, config: ProgressiveGANConfig, device: Device) -> None:
        self.config, self.device = config, device
        network, self._ranks = config.network, ranks()
        self.augmentation = Augmentation(config.augment, config.seed)
        self.generator: Generator = self._placed(Generator(network))
        self.discriminator: Discriminator = self._placed(Discriminator(network))
        loss = AdversarialLoss(
            config.loss,
            self.generator,
            self.discriminator,
            noise=partial(noise, network.latent),
            device=device,
            seed=config.seed,
            augment=None if config.augment.mode == "none" else self.augmentation,
            group=network.minibatch_group,
            compile=config.training.compile,
        )
        out, to_rgb = [self.discriminator.out], list(self.generator.to_rgb)
        self.trainer = Trainer(loss, config.training, device, discriminator_heads=out, generator_heads=to_rgb)
        self.average = self.trainer.average

    @property
    def images(self) -> int:
        """Real images shown to the discriminator, over all ranks."""
        return self.trainer.shown

    @property
    def stage(self) -> Stage:
        """Stage of the next step."""
        return stage_at(self.config.growth, self.config.network.resolution, self.images)

    @property
    def batch_size(self) -> int:
        """Images of the next step, over all ranks."""
        return self.config.training.batch_size_at(self.stage.resolution)

    @property
    def rows(self) -> slice:
        """This rank's rows of the next step: whole groups of the minibatch statistic."""
        return self._ranks.rows(self.batch_size, self.config.network.minibatch_group)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the generator at the next step."""
        return self.config.training.learning_rate_at(self.stage.resolution, self.images)

    def step(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """One step of the discriminator and the generator; see `gans.trainer.Trainer.step`.

        images: uint8 [B, C, H, W] on the device, at least as large as the stage's resolution, with several ranks this
        rank's `rows`; labels: int64 [B] for a conditional network. Returns 0-d statistics of the global batch.
        """
        alone, stage = self._ranks.size == 1, self.stage
        if self.config.training.reset_optimizer and self._enters(stage):
            self.trainer.reset_optimizers()
        first = self.images if alone else self.images + self.rows.start
        batch = Batch(
            self._real(images, stage, first),
            torch.arange(first, first + len(images), device=self.device.device),
            total=len(images) if alone else self.batch_size,
            labels=labels,
            stage=(stage.level, self._alpha(stage)),
        )
        return self.trainer.step(batch, self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        return self.trainer.state_dict() | {"augment_probability": self.augmentation.probability}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises CheckpointError where the state belongs to other networks or lacks a part."""
        self.trainer.load_state_dict(state)
        probability: Any = state.get("augment_probability")
        if type(probability) not in (int, float) or not 0.0 <= probability <= 1.0:
            raise CheckpointError(f"its augment_probability is {shortened(probability)}, not from 0 to 1")
        self.augmentation.probability = probability

    def _enters(self, stage: Stage) -> bool:
        """Whether the next step is the first at its resolution. The step before it showed one image or more."""
        before = stage_at(self.config.growth, self.config.network.resolution, self.images - 1)
        return self.trainer.steps > 0 and before.level != stage.level

    def _real(self, images: Tensor, stage: Stage, first: int) -> Tensor:
        """Images normalised, mirrored, reduced to the stage and faded as it is. first: number of the first image."""
        real = reduce_to(normalise(images), stage.resolution)
        if self.config.data.flip:
            real = random_flip(real, self.config.seed, first)
        return fade_reals(real, stage.alpha)

    def _alpha(self, stage: Stage) -> Alpha:
        """A compiled network takes a tensor while alpha changes: each new float would be compiled again."""
        if stage.alpha >= 1.0 or not self.config.training.compile:
            return stage.alpha
        return torch.tensor(stage.alpha, device=self.device.device)

    def _placed(self, net: Any) -> Any:
        # channels_last is a third faster on tensor cores and a tenth on a CPU.
        return net.to(self.device.device, memory_format=torch.channels_last)
