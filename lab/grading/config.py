"""Configuration of a grading experiment."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, model_validator

from lab.config import sections
from lab.config.budget_defaults import from_first_budget
from lab.config.limits import Count, RecurrentDepth, Width
from lab.config.sections import Config, ExperimentConfig
from lab.train.config import TrainingConfig as CommonTrainingConfig

Folds = Annotated[int, Field(ge=2, le=100)]


class DataConfig(Config):
    """Graded essays and their parts: training, validation and test."""

    source: str | None = Field(
        default=None, description="CSV file of essays and scores; by default a grammar generates essays."
    )
    text: str | None = Field(
        default=None, description="Column of the essays; by default text, essay or full_text, whichever there is."
    )
    score: str | None = Field(
        default=None, description="Column of the scores; by default overall, score or grade, whichever there is."
    )
    prompt: str = Field(default="prompt", description="Column of the prompts, if there is one.")
    traits: tuple[str, ...] | None = Field(
        default=None, max_length=50, description="Columns of trait scores; by default all other columns of numbers."
    )
    lowest: float | None = Field(default=None, description="Lowest score allowed in the file.")
    highest: float | None = Field(default=None, description="Highest score allowed in the file.")
    size: Annotated[int, Field(ge=50, le=100_000)] = Field(default=1000, description="Number of generated essays.")
    folds: Folds = Field(default=5, description="Parts of the essays, by a hash of the text, one of them for the test.")
    fold: Annotated[int, Field(ge=0, lt=100)] | None = Field(
        default=None, description="Part that is held out for the test, from 0, the default."
    )
    leave_out_prompt: str | None = Field(
        default=None, description="Prompt whose essays are the test, in place of a fold."
    )
    validation: float = Field(
        default=0.2,
        gt=0.0,
        le=0.5,
        description="Fraction of the remaining essays that thresholds, intervals and the best checkpoint are taken "
        "from; the recurrent network does not train on them.",
    )

    @model_validator(mode="after")
    def _one_way_to_split(self) -> Self:
        if self.fold is not None and self.leave_out_prompt is not None:
            raise ValueError("fold and leave_out_prompt both say what the test is; leave one out")
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"fold is from 0 to {self.folds - 1}, not {self.fold}, with folds={self.folds}")
        return self

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise ValueError(f"lowest {self.lowest:g} is not below highest {self.highest:g}")
        return self

    @model_validator(mode="after")
    def _columns_belong_to_a_file(self) -> Self:
        if self.source is None:
            for name in ("text", "score", "traits", "lowest", "highest"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is for a file, and the essays are generated; leave it out or give source")
        return self


class NetworkConfig(Config):
    """A hierarchical attention network over words and sentences, added to a linear part."""

    linear: bool = Field(
        default=True,
        description="Ridge regression on n-grams and surface features, in closed form; the network learns what it "
        "misses. With false the network grades alone.",
    )
    ngram_bits: Annotated[int, Field(ge=6, le=22)] = Field(
        default=17, description="Binary logarithm of the bins that the n-grams of each family are hashed into."
    )
    vocabulary: Width = Field(default=4000, description="Most words that have an embedding of their own.")
    endings: Width = Field(default=500, description="Embeddings that all other words share by their last letters.")
    embedding: Width = Field(default=48, description="Size of the embedding of a word.")
    cell: Literal["lstm", "gru"] = Field(default="gru", description="Recurrent cell.")
    hidden: Width = Field(default=48, description="Units of each recurrent layer and direction.")
    layers: RecurrentDepth = Field(default=1, description="Recurrent layers over words, and over sentences.")
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0, description="Dropout probability.")
    word_dropout: float = Field(
        default=0.1, ge=0.0, lt=1.0, description="Probability that a word is read as an unknown one while training."
    )
    max_sentences: Annotated[int, Field(gt=0, le=2**12)] = Field(
        default=100, description="Sentences that the network reads; the linear part counts all."
    )


class TrainingConfig(CommonTrainingConfig):
    """Gradient descent."""

    gradient_clip: float | None = Field(
        default=1.0,
        gt=0.0,
        description="Gradient clipping: largest norm of the gradient; larger gradients are scaled down.",
    )
    loss: Literal["squared", "ordinal"] = Field(
        default="squared",
        description="Squared error, or cumulative logits: the probability that a score is above each grade.",
    )
    trait_weight: NonNegativeFloat = Field(
        default=0.1, description="Weight of each trait in the loss; the score has weight 1."
    )
    shuffled: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Fraction of training examples whose sentences are put in random order, for the network to learn "
        "to tell them from essays in order. Their scores are not learned from.",
    )
    shuffle_cost: NonNegativeFloat = Field(
        default=0.3,
        description="What a random order costs, in standard deviations of the score: an assumption, as nobody graded "
        "such essays. The score falls by it times the probability of a random order.",
    )
    decay_examples: Count | None = Field(
        default=None, description="Examples after which the learning-rate schedule ends; by default the first budget."
    )
    examples_per_iteration: Count = Field(default=1000, description="Examples per iteration.")

    @property
    def period(self) -> int | None:
        """`decay_examples`, which the experiment's configuration sets to the budget if it is missing."""
        return self.decay_examples


class EvaluateConfig(sections.EvaluateConfig):
    """When and how the network is evaluated, on the validation essays."""

    coverage: float = Field(
        default=0.9, gt=0.0, lt=1.0, description="Probability that the interval of a score holds the true one."
    )


class GradingConfig(ExperimentConfig):
    """A grading experiment. The budget counts training examples."""

    kind: str = Field(default="grading", description="Kind of experiment.")
    data: DataConfig = Field(default=DataConfig(), description="Graded essays.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="The network.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="Gradient descent.")
    evaluate: EvaluateConfig = Field(default=EvaluateConfig(), description="When and how the network is evaluated.")

    @model_validator(mode="before")
    @classmethod
    def _decay_over_the_first_budget(cls, settings: Any) -> Any:
        return from_first_budget(settings, "training", "decay_examples")
