"""Configuration of auxiliary targets."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from lab.config.sections import Config


class AuxiliaryConfig(Config):
    """Heads that are trained beside policy and value and that no search evaluates. A weight of 0 leaves a head out.

    Wu 2019 ("Accelerating Self-Play Learning in Go"), section 4, and KataGo's documentation (KataGoMethods.md), whose
    weights the descriptions give.
    """

    opponent_reply: NonNegativeFloat = Field(
        default=0.0, description="Weight of the opponent's policy in the next position; KataGo: 0.15."
    )
    soft_policy: NonNegativeFloat = Field(
        default=0.0,
        description="Weight of the policy with every probability raised to 1/4, which tells less likely moves apart; "
        "KataGo: 8.",
    )
    value_horizons: tuple[Annotated[float, Field(ge=1.0)], ...] = Field(
        default=(),
        description="Mean number of plies ahead of the search values that each short-horizon value target averages, "
        "such as [2, 4, 8]; KataGo: 0.016, 0.056 and 0.176 of the cells, plus 1. [] leaves the head out.",
    )
    value_horizon_weight: PositiveFloat = Field(
        default=0.6, description="Weight of each short-horizon value; KataGo: 0.6."
    )
    final_board: NonNegativeFloat = Field(
        default=0.0,
        description="Weight of who holds each cell when the game is over, mean over the cells, for games that say it; "
        "KataGo: 1.5.",
    )
