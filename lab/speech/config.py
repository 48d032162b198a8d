"""Configuration of a voice."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, model_validator

from lab.audio.mel import MelConfig
from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.limits import Count, Depth, RecurrentDepth, Trials, Width
from lab.config.sections import Config, ExperimentConfig
from lab.train.config import TrainingConfig as CommonTrainingConfig


class DataConfig(Config):
    """Recordings with transcripts."""

    source: str = Field(
        default="voice-data",
        description="Folder in the layout of LJSpeech with phones.csv, as `lab data speak` makes it.",
    )
    held_out: float = Field(
        default=1 / 25,
        gt=0.0,
        le=0.5,
        description="Fraction of the sentences held out, by a hash of their words; rounded to one of two, three ...",
    )


class NetworkConfig(Config):
    """The acoustic model, phones -> log-mel frames; see `lab.speech.network`."""

    width: Width = Field(default=192, description="Features of a phone.")
    encoder_convolutions: Depth = Field(default=2, description="Convolutions over phones before the recurrent layer.")
    hidden: Width = Field(default=192, description="Units of the decoder's recurrent layers, in each direction.")
    layers: RecurrentDepth = Field(default=2, description="Recurrent layers of the decoder.")
    predictor_width: Width = Field(default=128, description="Features of the predictors of duration, pitch and energy.")
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0, description="Dropout probability of convolutions.")


class LossConfig(Config):
    """Weights of the losses; that of the mel frames is 1."""

    duration: NonNegativeFloat = Field(default=0.2, description="Squared error of the log of durations in frames.")
    pitch: NonNegativeFloat = Field(default=0.1, description="Squared error of the standardised pitch of phones.")
    energy: NonNegativeFloat = Field(default=0.1, description="Squared error of the standardised energy of phones.")


class TrainingConfig(CommonTrainingConfig):
    """Gradient descent."""

    gradient_clip: float | None = Field(
        default=1.0,
        gt=0.0,
        description="Gradient clipping: largest norm of the gradient; larger gradients are scaled down.",
    )
    decay_examples: Count | None = Field(
        default=None,
        description="Sentences after which the learning-rate schedule ends; by default the first budget.",
    )
    examples_per_iteration: Count = Field(default=320, description="Sentences per iteration.")

    @property
    def period(self) -> int | None:
        """`decay_examples`, which the experiment's configuration sets to the budget if it is missing."""
        return self.decay_examples


class EvaluateConfig(sections.EvaluateConfig):
    """When and how the voice is evaluated."""

    sentences: Trials = Field(default=32, description="Held-out sentences that are spoken, at most.")
    iterations: Trials = Field(default=32, description="Iterations of Griffin-Lim.")


class SpeechConfig(ExperimentConfig):
    """A voice: text to speech with durations known from a teacher. The budget counts training sentences."""

    supports_learners: ClassVar[bool] = False

    kind: Literal["speech"] = Field(default="speech", description="Kind of experiment.")
    data: DataConfig = Field(default=DataConfig(), description="Recordings.")
    mel: MelConfig = Field(default=MelConfig(), description="The log-mel spectrogram.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="The acoustic model.")
    loss: LossConfig = Field(default=LossConfig(), description="Weights of the losses.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="Gradient descent.")
    evaluate: EvaluateConfig = Field(default=EvaluateConfig(), description="When and how the voice is evaluated.")

    @model_validator(mode="before")
    @classmethod
    def _decay_over_the_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "training", "decay_examples")

    @model_validator(mode="after")
    def _pitch_can_be_found(self) -> Self:
        if self.mel.rate < 4000:
            raise ValueError(f"mel.rate {self.mel.rate} Hz is too low for speech; use 8000 or more")
        return self
