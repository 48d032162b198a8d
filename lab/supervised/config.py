"""What a supervised experiment can be told."""

from typing import ClassVar, Self

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


class TrainingConfig(Config):
    """AdamW; the learning rate falls to 0 along half a cosine over the budget the run was created with.

    shift: pixels by which a picture is moved at random, up to.
    """

    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 2e-3
    weight_decay: NonNegativeFloat = 1e-2
    shift: NonNegativeInt = 2
    decay_images: PositiveInt = 60_000
    images_per_iteration: PositiveInt = 3000


class SupervisedConfig(ExperimentConfig):
    """A complete classification experiment. The budget counts images trained on."""

    perturbable: ClassVar[tuple[str, ...]] = ("training.learning_rate", "training.batch_size", "training.shift")

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
