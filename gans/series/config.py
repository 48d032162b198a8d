"""Configuration of a time-series GAN experiment."""

from typing import ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from gans.config import PERTURBABLE, GANTrainingConfig, LossConfig
from lab.config.limits import (
    BatchSize,
    Channels,
    Count,
    Length,
    RecurrentDepth,
    Shown,
    Trials,
    TrialsOrZero,
    Width,
    WidthOrZero,
)
from lab.config.sections import Config, EvaluateConfig, ExperimentConfig


class SyntheticConfig(Config):
    """Synthetic series; see `gans.series.synthetic`."""

    series: BatchSize = Field(default=10_000, description="Number of series, held-out series included.")
    channels: Channels = Field(default=5, description="Channels of a series.")
    classes: WidthOrZero = Field(
        default=0, description="Classes, each with its own frequencies or autocorrelation; 0 for none."
    )
    frequency: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.02, 0.1), description="sines: lowest and highest frequency in cycles per step."
    )
    autocorrelation: float = Field(
        default=0.8, gt=-1.0, lt=1.0, description="autoregressive: correlation of a channel's neighbouring steps."
    )
    correlation: float = Field(default=0.5, ge=0.0, lt=1.0, description="autoregressive: correlation of channels.")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        low, high = self.frequency
        if not low < high <= 0.5:
            raise ValueError(
                f"frequency {low:g} to {high:g} must rise and end at 0.5 cycles per step or below: "
                "a faster sine looks like a slower one"
            )
        return self


class DataConfig(Config):
    """Real series: synthetic ones, or windows of a CSV file whose columns are channels and whose rows are steps."""

    source: str = Field(default="sines", description="sines, autoregressive or a .csv file.")
    length: int = Field(default=24, ge=4, le=2**20, description="Steps of a window.")
    stride: Length = Field(default=1, description="File: steps from the start of one window to the next.")
    columns: tuple[str, ...] = Field(
        default=(), description="File: columns that are channels; all but `series` and `label` when empty."
    )
    series: str = Field(
        default="", description="File: column that identifies the series of a row; a window stays within one series."
    )
    label: str = Field(
        default="", description="File: column of classes, for a conditional GAN; a window stays within one class."
    )
    held_out: float = Field(
        default=0.2,
        gt=0.0,
        le=0.5,
        description="Fraction of whole series, or of sections of a long one, held out for evaluation.",
    )
    synthetic: SyntheticConfig = SyntheticConfig()

    @model_validator(mode="after")
    def _of_a_file(self) -> Self:
        if is_file(self):
            twice = [name for name in (self.series, self.label) if name and name in self.columns]
            if twice or (self.series and self.series == self.label):
                name = twice[0] if twice else self.label
                raise ValueError(f"column {name!r} has two uses; give each column one")
            return self
        if self.source not in ("sines", "autoregressive"):
            raise ValueError(f"source {self.source!r} is neither sines, autoregressive nor a .csv file")
        for name in ("columns", "series", "label"):
            if getattr(self, name):
                raise ValueError(f"{name} needs a .csv file and the source is {self.source!r}; remove it")
        return self


def is_file(config: DataConfig) -> bool:
    """Whether series are read from a file rather than synthetic."""
    return config.source.lower().endswith(".csv")


class NetworkConfig(Config):
    """The recurrent generator, and the discriminator, recurrent or convolutional."""

    cell: Literal["gru", "lstm"] = Field(default="gru", description="Recurrent cell of both networks.")
    hidden: Width = Field(default=64, description="Hidden units of the generator.")
    layers: RecurrentDepth = Field(default=1, description="Recurrent layers of the generator.")
    latent: Width = Field(default=4, description="Size of the noise of each step.")
    series_latent: Width = Field(default=16, description="Size of the noise of the whole series.")
    discriminator: Literal["rnn", "cnn"] = Field(
        default="rnn",
        description="rnn (scores of all steps averaged) or cnn (kernels of 3, stride 2 in all layers but the first).",
    )
    discriminator_hidden: Width = Field(default=64, description="Features of the discriminator's layers.")
    discriminator_layers: RecurrentDepth = Field(default=1, description="Layers of the discriminator.")
    bidirectional: bool = Field(default=True, description="rnn: read the series in both directions.")


class TrainingConfig(GANTrainingConfig):
    """Gradient steps of both networks."""

    batch_size: BatchSize = Field(default=128, description="Real series per step.")
    series_per_iteration: Count = Field(default=12_800, description="Real series shown per iteration.")


class SeriesEvaluateConfig(EvaluateConfig):
    """When and how generated series are evaluated."""

    samples: TrialsOrZero = Field(
        default=1000, description="Generated and held-out series that scores compare, at most; 0 for no scores."
    )
    score_steps: Trials = Field(
        default=300, description="Training steps of the networks behind the discriminative and the predictive score."
    )
    score_batch_size: BatchSize = Field(default=64, description="Batch size of those networks.")
    score_hidden: Width = Field(default=24, description="Hidden units of those networks.")
    score_learning_rate: PositiveFloat = Field(default=5e-3, description="Learning rate of those networks.")
    plot: Shown = Field(default=5, description="Number of real and of generated series in the figure.")


class SeriesGANConfig(ExperimentConfig):
    """A time-series GAN experiment. The budget counts real series shown to the discriminator."""

    perturbable: ClassVar[tuple[str, ...]] = PERTURBABLE

    kind: Literal["series_gan"] = Field(default="series_gan", description="Kind of experiment.")
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    evaluate: SeriesEvaluateConfig = SeriesEvaluateConfig()
