"""Configuration of a progressive GAN experiment."""

from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, field_validator, model_validator

from gans.config import PERTURBABLE, GANTrainingConfig, LossConfig
from lab.config.limits import (
    BatchSize,
    Channels,
    Count,
    CountOrZero,
    DepthOrZero,
    Few,
    Shown,
    Side,
    Trials,
    TrialsOrZero,
    Width,
    WidthOrZero,
)
from lab.config.sections import Config, EvaluateConfig, ExperimentConfig
from lab.train.schedules import value_at

RESOLUTIONS = tuple(4 * 2**level for level in range(9))
AUGMENTATIONS = (
    *("flip", "rotate90", "translation", "cutout", "brightness", "contrast", "saturation"),
    *("scale", "rotate", "stretch", "fractional_translation"),
)


class DataConfig(Config):
    """Real images."""

    source: str = Field(
        default="digits",
        description="digits, a set stored by `lab data fetch`, a file packed by `lab data pack`, or a folder or zip of "
        "images, which is packed at the first use.",
    )
    flip: bool = Field(default=False, description="Mirror half of the images left to right.")


class NetworkConfig(Config):
    """Generator and discriminator."""

    resolution: Side = Field(default=32, description="Final resolution in pixels, a power of two up to 1024.")
    channels: Channels = Field(default=3, description="Channels of an image: 1 grey, 3 colour.")
    fmap_base: Trials = Field(
        default=8192,
        description="Feature maps at a resolution are min(2 * fmap_base / resolution, fmap_max) (paper, appendix A).",
    )
    fmap_max: Width = Field(default=512, description="Most feature maps at any resolution.")
    latent: Width = Field(default=512, description="Size of the latent vector.")
    classes: WidthOrZero = Field(default=0, description="Classes of a conditional GAN; 0 is unconditional.")
    mapping_layers: DepthOrZero = Field(
        default=0, description="Layers of the mapping network before the generator; 0 for none."
    )
    minibatch_group: Few = Field(
        default=4, description="Images per group of the minibatch standard deviation; 1 switches it off."
    )

    @model_validator(mode="after")
    def _known_resolution(self) -> Self:
        if self.resolution not in RESOLUTIONS:
            raise ValueError(f"resolution {self.resolution} is not a power of two from 4 to 1024")
        if self.fmap_base * 2 < self.resolution:
            raise ValueError(f"fmap_base {self.fmap_base} gives no channel at resolution {self.resolution}; raise it")
        return self


class GrowthConfig(Config):
    """When the networks grow, in real images shown."""

    start: Side = Field(default=4, description="First resolution in pixels.")
    fade_images: CountOrZero = Field(default=600_000, description="Images shown while a resolution fades in.")
    stable_images: CountOrZero = Field(
        default=600_000,
        description="Images shown at a resolution after its fade; training ends at the last one.",
    )


class TrainingConfig(GANTrainingConfig):
    """Gradient steps of both networks; settings may differ by resolution."""

    batch_sizes: dict[Side, BatchSize] = Field(
        default_factory=dict, description="Batch size by resolution; batch_size elsewhere."
    )
    learning_rates: dict[Side, PositiveFloat] = Field(
        default_factory=dict, description="Learning rate by resolution; learning_rate elsewhere."
    )
    reset_optimizer: bool = Field(
        default=False, description="Reset the moments of both optimizers whenever a resolution is added."
    )
    compile: bool = Field(
        default=False,
        description="torch.compile for passes that are differentiated once; compiles in the first steps of each stage.",
    )
    images_per_iteration: Count = Field(default=1000, description="Real images shown per iteration.")

    def batch_size_at(self, resolution: int) -> int:
        return self.batch_sizes.get(resolution, self.batch_size)

    def learning_rate_at(self, resolution: int, images: int) -> float:
        """Learning rate of the generator after `images` have been shown."""
        rate = self.learning_rates.get(resolution)
        return value_at(self.learning_rate, images) if rate is None else rate

    @model_validator(mode="after")
    def _known_resolutions(self) -> Self:
        for name in ("batch_sizes", "learning_rates"):
            unknown = [key for key in getattr(self, name) if key not in RESOLUTIONS]
            if unknown:
                raise ValueError(f"{name} names resolution {unknown[0]}, which is not a power of two from 4 to 1024")
        return self


class AugmentConfig(Config):
    """Augmentation of all images that the discriminator sees."""

    mode: Literal["none", "diffaug", "ada"] = Field(
        default="none",
        description="none, diffaug (always) or ada (with a probability that adapts to overfitting).",
    )
    policy: tuple[str, ...] = Field(default=(), description="Operations in order; all those of the mode when empty.")
    target: float = Field(default=0.6, ge=-1.0, le=1.0, description="ada: target of the mean sign of real scores.")
    speed_images: Count = Field(
        default=500_000, description="ada: images in which the probability can rise from 0 to 1."
    )
    initial: float = Field(default=0.0, ge=0.0, le=1.0, description="ada: probability at the start.")

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, policy: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in policy if name not in AUGMENTATIONS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no augmentation; use {', '.join(AUGMENTATIONS)}")
        return policy


class ImageEvaluateConfig(EvaluateConfig):
    """When and how generated images are evaluated."""

    grid: Shown = Field(default=8, description="Rows and columns of the grid of samples.")
    samples: TrialsOrZero = Field(
        default=0, description="Generated and real images that metrics compare; 0 for no metrics."
    )
    extractor: str = Field(
        default="pixels",
        description="Features of Frechet and kernel distance, precision and recall: pixels, inception or a run.",
    )


class ProgressiveGANConfig(ExperimentConfig):
    """A progressive GAN experiment. The budget counts real images shown to the discriminator."""

    supports_evaluator: ClassVar[bool] = True
    supports_learners: ClassVar[bool] = True
    perturbable: ClassVar[tuple[str, ...]] = (*PERTURBABLE, "augment.target", "augment.speed_images")

    kind: Literal["progressive_gan"] = Field(default="progressive_gan", description="Kind of experiment.")
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    growth: GrowthConfig = GrowthConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    evaluate: ImageEvaluateConfig = ImageEvaluateConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        first, last = self.growth.start, self.network.resolution
        if first not in RESOLUTIONS or first > last:
            raise ValueError(f"growth.start {first} must be a power of two from 4 to network.resolution {last}")
        micro, group = self.training.micro_batch, self.network.minibatch_group
        for resolution in RESOLUTIONS[RESOLUTIONS.index(first) : RESOLUTIONS.index(last) + 1]:
            batch = self.training.batch_size_at(resolution)
            groups = -(-batch // group)
            if groups < self.cluster.learners:
                raise ValueError(
                    f"a batch of {batch} at {resolution} x {resolution} is {groups} groups of network.minibatch_group "
                    f"{group}, and each learner needs one; lower cluster.learners to {groups}"
                )
        if micro is not None and micro % group:
            raise ValueError(
                f"training.micro_batch {micro} splits groups of network.minibatch_group {group}; make it a multiple"
            )
        return self
