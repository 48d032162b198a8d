"""What a supervised experiment can be told."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from lab.config import Config, ExperimentConfig


class DataConfig(Config):
    """Pictures with labels, and those it is tested on; without these, a fraction `held_out` of the first is kept."""

    source: str = "digits"
    test_source: str | None = None
    held_out: float = Field(default=0.2, gt=0.0, lt=1.0)


class NetworkConfig(Config):
    """A CNN: one 3x3 block per entry of `channels`, each halving the picture, then a hidden layer of features."""

    channels: tuple[PositiveInt, ...] = (16, 32, 64)
    features: PositiveInt = 64


class FitConfig(Config):
    """How a network is fitted, whatever it learns; see `lab.supervised.fit`.

    micro_batch: items that pass through the network at once, all unless given; larger batches accumulate gradients.
    optimizer: AdamW, or SGD with Nesterov momentum. momentum: AdamW's first beta or SGD's momentum. clip_norm: longest
    gradient. schedule: of the learning rate; warmup: share of it during which the rate rises.
    """

    batch_size: PositiveInt = 64
    micro_batch: PositiveInt | None = None
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 2e-3
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    weight_decay: NonNegativeFloat = 1e-2
    clip_norm: PositiveFloat | None = None
    schedule: Literal["constant", "cosine", "linear", "one-cycle"] = "cosine"
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _a_cycle_rises(self) -> Self:
        if self.schedule == "one-cycle" and not self.warmup:
            raise ValueError("schedule one-cycle rises first: give warmup the share in which it does, say 0.25")
        return self


class TrainingConfig(FitConfig):
    """The schedule ends after `decay_images`.

    shift: pixels by which a picture is moved at random, up to.
    """

    shift: NonNegativeInt = 2
    decay_images: PositiveInt = 60_000
    images_per_iteration: PositiveInt = 3000


class SupervisedConfig(ExperimentConfig):
    """A complete classification experiment. The budget counts images trained on."""

    kind: str = "supervised"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _enough_for_the_learners(self) -> Self:
        if self.training.batch_size < self.cluster.learners:
            raise ValueError(
                f"training.batch_size {self.training.batch_size} leaves some of {self.cluster.learners} learners "
                "without an image; lower cluster.learners"
            )
        return self
