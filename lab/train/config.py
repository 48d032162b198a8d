"""Configuration of gradient descent, shared by all kinds."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from lab.config.limits import BatchSize, Few
from lab.config.sections import Config
from lab.train.schedules import Hyperparameter, Shape, check_cycle, within


class MuonConfig(Config):
    """Options of Muon beside its learning rate, momentum and weight decay; the other optimizers ignore them.

    Source: K. Jordan 2024, airbench94_muon, for all but adamw.
    """

    newton_schulz_steps: Few = Field(default=5, description="Newton-Schulz steps of an update's orthogonalisation.")
    normalise_weights: bool = Field(
        default=False,
        description="Scale every matrix of n outputs to the Frobenius norm sqrt(n) before its step, for layers whose "
        "scale a norm removes; in place of weight decay.",
    )
    others: Literal["adamw", "sgd"] = Field(
        default="adamw",
        description="Optimizer of biases, norms, embeddings and output layers; sgd has Nesterov momentum.",
    )
    bias_fraction: PositiveFloat = Field(
        default=1.0, description="others=sgd: learning rate of biases and norms as a fraction of learning_rate."
    )
    head_fraction: PositiveFloat = Field(
        default=1.0,
        description="others=sgd: learning rate of embeddings and output layers as a fraction of learning_rate.",
    )
    others_momentum: float = Field(default=0.85, ge=0.0, lt=1.0, description="others=sgd: its Nesterov momentum.")
    others_decay: NonNegativeFloat = Field(
        default=0.0,
        description="others=sgd: weight decay, of biases too; the gradient of a step includes learning_rate times it.",
    )


class OptimizerConfig(Config):
    """The optimizer of a network; see `lab.train.optimizers`."""

    optimizer: Literal["adamw", "adam", "sgd", "muon"] = Field(
        default="adamw",
        description="adamw, adam, sgd with Nesterov momentum, or muon for matrices with AdamW or SGD for the rest.",
    )
    learning_rate: Annotated[Hyperparameter, within(gt=0.0)] = Field(
        default=2e-3, description="Learning rate; with a schedule its peak."
    )
    beta1: float = Field(
        default=0.9, ge=0.0, lt=1.0, description="Decay of the first moment (adamw, adam, muon's AdamW)."
    )
    beta2: float = Field(
        default=0.999, ge=0.0, lt=1.0, description="Decay of the second moment (adamw, adam, muon's AdamW)."
    )
    epsilon: PositiveFloat = Field(
        default=1e-8, description="Added to the root of the second moment (adamw, adam, muon's AdamW)."
    )
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="Nesterov momentum (sgd, muon).")
    adamw_fraction: PositiveFloat = Field(
        default=1.0,
        description="Muon: learning rate of the parameters that AdamW trains, as a fraction of learning_rate.",
    )
    muon: MuonConfig = Field(default=MuonConfig(), description="Further options of Muon.")
    weight_decay: NonNegativeFloat = Field(default=1e-2, description="Weight decay; biases and norms have none.")
    gradient_clip: PositiveFloat | None = Field(
        default=None, description="Gradient clipping: largest norm of the gradient; larger gradients are scaled down."
    )


class ScheduledOptimizerConfig(OptimizerConfig):
    """An optimizer whose learning rate follows a schedule."""

    schedule: Shape = Field(
        default="cosine", description="Learning-rate schedule: constant, linear, cosine or one-cycle."
    )
    warmup: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="Fraction of the schedule in which the learning rate rises to its peak.",
    )
    final_fraction: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Learning rate at the end of the schedule, as a fraction of its peak."
    )

    @property
    def period(self) -> int | None:
        """Count of the budget at which the schedule ends; None where no setting says it."""
        return None

    @model_validator(mode="after")
    def _one_cycle_rises(self) -> Self:
        check_cycle(self.schedule, self.warmup)
        return self


class TrainingConfig(ScheduledOptimizerConfig):
    """Gradient descent on batches of a data set."""

    batch_size: BatchSize = Field(default=64, description="Samples per optimizer step, over all ranks.")
    micro_batch: BatchSize | None = Field(
        default=None,
        description="Gradient accumulation: samples per forward pass. Batch norm uses the statistics of a micro-batch.",
    )

    def rows_at_once(self, rows: int) -> int:
        """Samples per forward pass of a rank whose part of the batch has `rows`."""
        return min(rows, self.micro_batch or rows)

    def check_learners(self, learners: int, dropout: float | None) -> None:
        """Raise ValueError if this many learners would not train as one process does."""
        if self.batch_size < learners:
            raise ValueError(
                f"training.batch_size {self.batch_size} leaves some of {learners} learners without a sample; "
                "lower cluster.learners"
            )
        if learners > 1 and self.micro_batch:
            raise ValueError(
                "training.micro_batch and cluster.learners both split a batch, and results would differ from those of "
                "one process; leave one out"
            )
        if learners > 1 and dropout:
            raise ValueError(
                "dropout masks of several learners differ from those of one process; set network.dropout=0"
            )
