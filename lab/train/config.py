"""Configuration of gradient descent, shared by the kinds that learn from examples."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from lab.config.sections import Config


class FitConfig(Config):
    """How a network is fitted, whatever it learns; see `lab.train.step`.

    micro_batch: items that pass through the network at once, all unless given; larger batches accumulate gradients.
    Batch norms then have the statistics of a micro batch.
    optimizer: AdamW, or SGD with Nesterov momentum. momentum: AdamW's first beta or SGD's momentum. gradient_clip:
    largest norm of a gradient. schedule: of the learning rate; warmup: share of it during which the rate rises.
    """

    batch_size: PositiveInt = 64
    micro_batch: PositiveInt | None = None
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 2e-3
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    weight_decay: NonNegativeFloat = 1e-2
    gradient_clip: PositiveFloat | None = None
    schedule: Literal["constant", "cosine", "linear", "one-cycle"] = "cosine"
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _a_cycle_rises(self) -> Self:
        if self.schedule == "one-cycle" and not self.warmup:
            raise ValueError("schedule one-cycle rises first: give warmup the share in which it does, say 0.25")
        return self
