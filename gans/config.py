"""Configuration sections that all kinds of GAN share."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from lab.config.sections import Config


class LossConfig(Config):
    """The game that the two networks play.

    wgan-gp: penalty_weight / gradient_target**2 * (|gradient| - gradient_target)**2 and drift (Karras et al. 2018).
    non-saturating: with R1 of weight `gamma` on every `lazy`-th step, times `lazy` (Mescheder 2018; Karras 2020).
    relativistic: paired, with R1 and R2 of weight `gamma` on every step (Huang et al. 2024).
    """

    name: Literal["wgan-gp", "non-saturating", "relativistic"] = "wgan-gp"
    penalty_weight: NonNegativeFloat = 10.0
    gradient_target: PositiveFloat = 1.0
    drift: NonNegativeFloat = 0.001
    gamma: NonNegativeFloat = 1.0
    lazy: PositiveInt = 16
