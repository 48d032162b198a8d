"""Configuration of a vocoder experiment."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from gans.config import PERTURBABLE, GANTrainingConfig, LossConfig
from lab.audio.mel import MelConfig
from lab.config.limits import BatchSize, Count, Depth, Length, Trials, Width
from lab.config.sections import Config, EvaluateConfig, ExperimentConfig
from lab.train.schedules import Hyperparameter, within


class SyntheticConfig(Config):
    """Recordings that need no file; see `gans.vocoder.synthetic`."""

    recordings: BatchSize = Field(default=40, description="Number of recordings, held-out ones included.")
    seconds: PositiveFloat = Field(default=1.5, le=3600.0, description="Length of a recording.")


class DataConfig(Config):
    """Recordings: a folder or zip of WAV files, or synthetic glides."""

    source: str = Field(default="glides", description="glides, or a folder or zip of WAV files, at any depth.")
    held_out: float = Field(
        default=0.1,
        gt=0.0,
        le=0.5,
        description="Fraction of the recordings that is held out for evaluation; of a folder with metadata.csv, which "
        "is no zip, those that a voice with the same fraction holds out: one of two, three ...",
    )
    frames: Length = Field(default=40, description="Frames of a training window.")
    synthetic: SyntheticConfig = SyntheticConfig()


class NetworkConfig(Config):
    """Generator (Vocos, Siuzdak 2024) and spectrogram discriminators."""

    width: Width = Field(default=192, description="Channels of the generator.")
    blocks: Depth = Field(default=6, description="ConvNeXt blocks of the generator.")
    expansion: float = Field(
        default=3.0, ge=0.5, le=16.0, description="Units within a block as a multiple of the width."
    )
    discriminator_channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = Field(
        default=(16, 32, 32), description="Channels of each discriminator's layers; every layer halves both sides."
    )
    resolutions: Annotated[tuple[Annotated[int, Field(ge=32, le=2**14)], ...], Field(min_length=1, max_length=8)] = (
        Field(
            default=(512, 1024, 256),
            description="FFT sizes in samples, a discriminator and a term of the spectral loss for each.",
        )
    )


class VocoderLossConfig(LossConfig):
    """Adversarial losses, and the distance from the spectra of the recording."""

    name: Literal["wgan-gp", "non-saturating", "relativistic"] = Field(
        default="non-saturating", description="As of the other GANs; see `gans.losses`."
    )
    gamma: Annotated[Hyperparameter, within(ge=0.0)] = Field(
        default=1e-3,
        description="Weight of the R1 and R2 penalties, a number or a schedule; small: the logarithm of a quiet "
        "magnitude has a large gradient.",
    )
    spectral_weight: NonNegativeFloat = Field(
        default=20.0, description="Weight of the multi-resolution spectral loss; the adversarial loss has the weight 1."
    )


class TrainingConfig(GANTrainingConfig):
    """Gradient steps of both networks."""

    batch_size: BatchSize = Field(default=16, description="Windows per step.")
    windows_per_iteration: Count = Field(default=800, description="Windows shown per iteration.")


class VocoderEvaluateConfig(EvaluateConfig):
    """When and on how much the vocoder is evaluated."""

    recordings: Trials = Field(default=8, description="Held-out recordings that are made again, at most.")
    seconds: PositiveFloat = Field(default=10.0, description="Seconds of each of them, at most.")
    griffin_lim_iterations: Trials = Field(default=32, description="Iterations of Griffin-Lim, the baseline.")


class VocoderConfig(ExperimentConfig):
    """A vocoder experiment: log-mel spectrograms to waves. The budget counts training windows shown."""

    perturbable: ClassVar[tuple[str, ...]] = (*PERTURBABLE, "loss.spectral_weight")

    kind: Literal["vocoder"] = Field(default="vocoder", description="Kind of experiment.")
    data: DataConfig = DataConfig()
    mel: MelConfig = MelConfig()
    network: NetworkConfig = NetworkConfig()
    loss: VocoderLossConfig = VocoderLossConfig()
    training: TrainingConfig = TrainingConfig()
    evaluate: VocoderEvaluateConfig = VocoderEvaluateConfig()

    @model_validator(mode="after")
    def _windows_hold_a_frame(self) -> Self:
        samples, longest = self.data.frames * self.mel.hop, max(self.network.resolutions)
        if samples < longest:
            raise ValueError(
                f"data.frames {self.data.frames} are {samples} samples, fewer than the largest of "
                f"network.resolutions, {longest}; raise data.frames to {-(-longest // self.mel.hop)}"
            )
        return self
