"""Configuration sections that all kinds of GAN share."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from lab.config.limits import BatchSize, Count, Few
from lab.config.sections import Config
from lab.train.config import OptimizerConfig
from lab.train.schedules import Hyperparameter, within

PERTURBABLE = (
    *("training.learning_rate", "training.discriminator_learning_rate", "training.discriminator_steps"),
    *("training.ema_decay", "loss.penalty_weight", "loss.gradient_target", "loss.drift", "loss.gamma"),
)
"""Keys of these sections that population based training may perturb."""


class LossConfig(Config):
    """Losses of generator and discriminator."""

    name: Literal["wgan-gp", "non-saturating", "relativistic"] = Field(
        default="wgan-gp",
        description=(
            "wgan-gp (with drift, Karras et al. 2018), non-saturating (lazy R1, Karras et al. 2020) or relativistic "
            "(pairs, with R1 and R2 on every step, Huang et al. 2024)."
        ),
    )
    penalty_weight: NonNegativeFloat = Field(
        default=10.0,
        description="wgan-gp: weight of the gradient penalty ((|gradient| - gradient_target) / gradient_target)**2.",
    )
    gradient_target: PositiveFloat = Field(default=1.0, description="wgan-gp: gradient norm at which the penalty is 0.")
    drift: NonNegativeFloat = Field(default=0.001, description="wgan-gp: weight of the mean squared score of reals.")
    gamma: Annotated[Hyperparameter, within(ge=0.0)] = Field(
        default=1.0, description="Weight of the R1 and R2 penalties, a number or a schedule."
    )
    lazy: Count = Field(
        default=16, description="non-saturating: interval of the R1 penalty in steps; it multiplies the penalty."
    )


class GANTrainingConfig(OptimizerConfig):
    """Gradient steps of both networks."""

    batch_size: BatchSize = Field(default=16, description="Real samples per step, over all ranks.")
    micro_batch: BatchSize | None = Field(
        default=None, description="Samples per forward pass; gradients accumulate over a batch. Whole batch by default."
    )
    optimizer: Literal["adamw", "adam", "sgd", "muon"] = Field(
        default="adam", description="Optimizer of both networks: adam, adamw, sgd with Nesterov momentum or muon."
    )
    learning_rate: Annotated[Hyperparameter, within(gt=0.0)] = Field(
        default=1e-3, description="Learning rate of both networks, a number or a schedule."
    )
    discriminator_learning_rate: Annotated[Hyperparameter, within(gt=0.0)] | None = Field(
        default=None, description="Learning rate of the discriminator; learning_rate by default."
    )
    discriminator_steps: Few = Field(default=1, description="Discriminator steps per generator step.")
    beta1: float = Field(default=0.0, ge=0.0, lt=1.0, description="Decay of Adam's first moment.")
    beta2: float = Field(default=0.99, ge=0.0, lt=1.0, description="Decay of Adam's second moment.")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay; biases and norms have none.")
    ema_decay: Annotated[Hyperparameter, within(ge=0.0, lt=1.0)] = Field(
        default=0.999, description="EMA decay of the generator's weights per generator step, a number or a schedule."
    )
