"""Configuration of a series GAN experiment."""

from typing import ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from gans.config import LossConfig
from lab.config.sections import Config, ExperimentConfig


class SyntheticConfig(Config):
    """Series that are drawn rather than read; see `gans.series.synthetic`.

    series: how many, those held out included. classes: 0 for none; class k has its own frequencies, or its own
    autocorrelation. frequency: of the sines, cycles per step, from and to. autocorrelation: of neighbouring steps of
    the autoregressive process; correlation: of its channels.
    """

    series: PositiveInt = 10_000
    channels: PositiveInt = 5
    classes: NonNegativeInt = 0
    frequency: tuple[PositiveFloat, PositiveFloat] = (0.02, 0.1)
    autocorrelation: float = Field(default=0.8, gt=-1.0, lt=1.0)
    correlation: float = Field(default=0.5, ge=0.0, lt=1.0)

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
    """Series: "sines", "autoregressive", or a CSV file whose columns are channels and whose rows are steps.

    Windows of `length` steps, one every `stride`. columns: of the file that are channels, all but the two that
    follow unless given. series: a column that tells series apart, whose rows may lie anywhere, in their order;
    no window crosses from one to the next. label: a column of classes, which makes the GAN conditional; no window
    crosses a change. held_out: share of whole series, or of stretches of a long one, that is kept for the scores.
    """

    source: str = "sines"
    length: int = Field(default=24, ge=4)
    stride: PositiveInt = 1
    columns: tuple[str, ...] = ()
    series: str = ""
    label: str = ""
    held_out: float = Field(default=0.2, gt=0.0, le=0.5)
    synthetic: SyntheticConfig = SyntheticConfig()

    @model_validator(mode="after")
    def _of_a_file(self) -> Self:
        if is_file(self):
            twice = [name for name in (self.series, self.label) if name and name in self.columns]
            if twice or (self.series and self.series == self.label):
                name = twice[0] if twice else self.label
                raise ValueError(f"column {name!r} is named for two uses; give each column one")
            return self
        if self.source not in ("sines", "autoregressive"):
            raise ValueError(f"source {self.source!r} is neither sines, autoregressive nor a .csv file")
        for name in ("columns", "series", "label"):
            if getattr(self, name):
                raise ValueError(f"{name} is of a .csv file and the source is {self.source!r}; leave it out")
        return self


def is_file(config: DataConfig) -> bool:
    """Whether series are read rather than drawn."""
    return config.source.lower().endswith(".csv")


class NetworkConfig(Config):
    """Both networks. The generator is recurrent: noise of every step and noise of the whole series -> values.

    latent: noise of a step; series_latent: noise of a series. discriminator: recurrent, the scores of all steps
    averaged, or convolutional, with kernels of 3 steps and a stride of 2 in all layers but the first.
    discriminator_hidden and discriminator_layers: features and layers of either.
    """

    cell: Literal["gru", "lstm"] = "gru"
    hidden: PositiveInt = 64
    layers: PositiveInt = 1
    latent: PositiveInt = 4
    series_latent: PositiveInt = 16
    discriminator: Literal["rnn", "cnn"] = "rnn"
    discriminator_hidden: PositiveInt = 64
    discriminator_layers: PositiveInt = 1
    bidirectional: bool = True


class TrainingConfig(Config):
    """Gradient steps. The generator takes one for every `discriminator_steps` of the discriminator.

    discriminator_learning_rate: the generator's unless given. decay_series: both fall to 0 along half a cosine over so
    many series, never unless given. ema_decay: of the averaged generator.
    """

    batch_size: PositiveInt = 128
    discriminator_steps: PositiveInt = 1
    learning_rate: PositiveFloat = 1e-3
    discriminator_learning_rate: PositiveFloat | None = None
    decay_series: PositiveInt | None = None
    beta1: float = Field(default=0.0, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.99, ge=0.0, lt=1.0)
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    series_per_iteration: PositiveInt = 12_800


class GradingConfig(Config):
    """What an evaluation does. Scores compare up to `series` generated ones with as many that were held out; 0 for
    none.

    steps, batch_size, hidden, learning_rate: of the recurrent networks that are trained for the two scores. plot:
    series that are drawn of each kind.
    """

    series: NonNegativeInt = 1000
    steps: PositiveInt = 300
    batch_size: PositiveInt = 64
    hidden: PositiveInt = 24
    learning_rate: PositiveFloat = 5e-3
    plot: PositiveInt = 5


class SeriesGANConfig(ExperimentConfig):
    """A complete series GAN experiment. The budget counts real series shown to the discriminator."""

    perturbable: ClassVar[tuple[str, ...]] = (
        *(
            "training.learning_rate",
            "training.discriminator_learning_rate",
            "training.ema_decay",
            "training.discriminator_steps",
        ),
        *("loss.penalty_weight", "loss.gradient_target", "loss.drift", "loss.gamma"),
    )

    kind: Literal["series_gan"] = "series_gan"
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    grading: GradingConfig = GradingConfig()
