"""Configuration of a progressive GAN experiment."""

from typing import ClassVar, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from gans.config import LossConfig
from lab.config.sections import Config, ExperimentConfig

RESOLUTIONS = tuple(4 * 2**level for level in range(9))
AUGMENTATIONS = (
    *("flip", "rotate90", "translation", "cutout", "brightness", "contrast", "saturation"),
    *("scale", "rotate", "stretch", "fractional_translation"),
)


class DataConfig(Config):
    """Pictures: "digits", a set that `lab data fetch` stored, or a packed file. flip: mirror half of them."""

    source: str = "digits"
    flip: bool = False


class NetworkConfig(Config):
    """Both networks. Channels at a resolution are min(2 * fmap_base / resolution, fmap_max), appendix A.

    channels: of a picture. classes: 0 is unconditional. mapping_layers: of an MLP before the generator, 0 for none.
    minibatch_group: pictures whose statistics are joined in the discriminator, 1 for none.
    """

    resolution: PositiveInt = 32
    channels: PositiveInt = 3
    fmap_base: PositiveInt = 8192
    fmap_max: PositiveInt = 512
    latent: PositiveInt = 512
    classes: NonNegativeInt = 0
    mapping_layers: NonNegativeInt = 0
    minibatch_group: PositiveInt = 4

    @model_validator(mode="after")
    def _known_resolution(self) -> Self:
        if self.resolution not in RESOLUTIONS:
            raise ValueError(f"resolution {self.resolution} is no power of two from 4 to 1024")
        if self.fmap_base * 2 < self.resolution:
            raise ValueError(f"fmap_base {self.fmap_base} leaves no channel at resolution {self.resolution}; raise it")
        return self


class GrowthConfig(Config):
    """Images shown while a resolution fades in, and after that before the next one does; the last one stays."""

    start: PositiveInt = 4
    fade_images: NonNegativeInt = 600_000
    stable_images: NonNegativeInt = 600_000


class TrainingConfig(Config):
    """Gradient steps. `batch_sizes` and `learning_rates` replace the general value at the resolutions they name.

    micro_batch: pictures that pass through the networks at once; larger batches accumulate gradients.
    reset_optimizer: forget Adam's moments whenever a resolution comes in. ema_decay: of the averaged generator.
    compile: torch.compile for every pass that is differentiated once; the first steps of each stage compile.
    """

    batch_size: PositiveInt = 16
    batch_sizes: dict[PositiveInt, PositiveInt] = Field(default_factory=dict)
    micro_batch: PositiveInt | None = None
    learning_rate: PositiveFloat = 1e-3
    learning_rates: dict[PositiveInt, PositiveFloat] = Field(default_factory=dict)
    beta1: float = Field(default=0.0, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.99, ge=0.0, lt=1.0)
    reset_optimizer: bool = False
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    compile: bool = False
    images_per_iteration: PositiveInt = 1000

    def batch_at(self, resolution: int) -> int:
        return self.batch_sizes.get(resolution, self.batch_size)

    def rate_at(self, resolution: int) -> float:
        return self.learning_rates.get(resolution, self.learning_rate)

    @model_validator(mode="after")
    def _known_resolutions(self) -> Self:
        for name in ("batch_sizes", "learning_rates"):
            unknown = [key for key in getattr(self, name) if key not in RESOLUTIONS]
            if unknown:
                raise ValueError(f"{name} names resolution {unknown[0]}, which is no power of two from 4 to 1024")
        return self


class AugmentConfig(Config):
    """Augmentation of all images that the discriminator sees.

    diffaug: always; ada: with a probability that follows overfitting. policy: operations, all of the mode when empty.
    target: mean sign of the scores of real images that the probability is steered to. speed_images: images shown while
    the probability could rise from 0 to 1. initial: its first value.
    """

    mode: Literal["none", "diffaug", "ada"] = "none"
    policy: tuple[str, ...] = ()
    target: float = Field(default=0.6, ge=-1.0, le=1.0)
    speed_images: PositiveInt = 500_000
    initial: float = Field(default=0.0, ge=0.0, le=1.0)

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, policy: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in policy if name not in AUGMENTATIONS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no augmentation; use {', '.join(AUGMENTATIONS)}")
        return policy


class GradingConfig(Config):
    """What an evaluation does: a grid of grid x grid samples, and metrics over `samples` (0 for none).

    extractor: of the features for Frechet and kernel distance, precision and recall: "pixels", "inception" or a
    supervised run's directory. device: where metrics are computed, beside training ("cpu", "cuda:1"); empty: where
    training is, which waits; with cluster.evaluator a worker on Ray measures beside training.
    """

    grid: PositiveInt = 8
    samples: NonNegativeInt = 0
    extractor: str = "pixels"
    device: str = ""


class ProgressiveGANConfig(ExperimentConfig):
    """A complete progressive GAN experiment. The budget counts real images shown to the discriminator."""

    supports_evaluator: ClassVar[bool] = True
    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = (
        *("training.learning_rate", "training.ema_decay", "augment.target", "augment.speed_images"),
        *("loss.penalty_weight", "loss.gradient_target", "loss.drift", "loss.gamma"),
    )

    kind: Literal["progressive_gan"] = "progressive_gan"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    growth: GrowthConfig = GrowthConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    grading: GradingConfig = GradingConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.growth.start not in RESOLUTIONS or self.growth.start > self.network.resolution:
            raise ValueError(
                f"growth.start {self.growth.start} must be a power of two from 4 to network.resolution "
                f"{self.network.resolution}"
            )
        if self.grading.device and self.cluster.evaluator:
            raise ValueError("grading.device and cluster.evaluator both say where metrics are taken; leave out one")
        micro, group = self.training.micro_batch, self.network.minibatch_group
        for resolution in RESOLUTIONS[
            RESOLUTIONS.index(self.growth.start) : RESOLUTIONS.index(self.network.resolution) + 1
        ]:
            batch = self.training.batch_at(resolution)
            groups = -(-batch // group)
            if groups < self.cluster.learners:
                raise ValueError(
                    f"a batch of {batch} at {resolution} x {resolution} is {groups} groups of network.minibatch_group "
                    f"{group}, one learner's least share; lower cluster.learners to {groups}"
                )
        if micro is not None and micro % group:
            raise ValueError(
                f"training.micro_batch {micro} splits groups of network.minibatch_group {group}; make it a multiple"
            )
        return self
