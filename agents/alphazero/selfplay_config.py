"""Configuration of self-play."""

from typing import Self

from pydantic import Field, NonNegativeFloat, model_validator

from agents.alphazero.records import RecordFormat
from lab.config.limits import (
    CountOrZero,
    Simulations,
    Slots,
    Trials,
)
from lab.config.sections import Config


class TemperatureConfig(Config):
    """Root temperature by ply: scale of the root noise (Gumbel), or of the sampling of moves from visits (PUCT)."""

    start: NonNegativeFloat = Field(default=1.0, description="Temperature of the first ply.")
    end: NonNegativeFloat = Field(default=1.0, description="Temperature from ply decay_plies on.")
    decay_plies: CountOrZero = Field(
        default=0, description="Plies over which the temperature changes linearly from start to end."
    )


class SelfPlayConfig(Config):
    """Batched self-play."""

    boards: Trials = Field(default=256, description="Games played at once by one actor.")
    moves_per_iteration: Trials = Field(default=16, description="Moves on every board per iteration.")
    overlap: bool = Field(
        default=False,
        description="Train while the games of the iteration are played, in a second thread and CUDA stream. Training "
        "then sees the games of earlier iterations alone: one more iteration of policy lag.",
    )
    opening_plies: CountOrZero = Field(
        default=0, description="Largest number of random plies before the first searched move; uniform per game."
    )
    temperature: TemperatureConfig = Field(default=TemperatureConfig(), description="Root temperature by ply.")
    resign_below: float | None = Field(
        default=None,
        ge=-1.0,
        lt=0.0,
        description="A side resigns when its value after search is below this; null for never.",
    )
    resign_audit: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Fraction of games without resignation, to measure wrong resignations."
    )
    cache_slots: Slots | None = Field(
        default=None,
        description="Entries of the evaluation cache, a power of two or 0; null: at most 64 MiB and 2**18. CPU only.",
    )
    policy_entries: Trials | None = Field(
        default=None,
        description="Largest number of actions of a recorded policy, the most likely ones; null for all legal actions.",
    )
    record_states: bool = Field(
        default=False,
        description="Also record the exact state of every position, from which it can be searched or played on.",
    )
    full_search_fraction: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Playout cap randomization (Wu 2019, section 3.1): probability that a move has a full search of "
        "search.simulations. The policies of other moves are not trained on; 1 searches every move fully. CPU only.",
    )
    cheap_simulations: Simulations = Field(
        default=8, description="Simulations of moves without a full search; their root has no Dirichlet noise."
    )
    cheap_temperature: NonNegativeFloat = Field(
        default=0.0, description="Factor of the temperature of moves without a full search; 0 plays their best move."
    )
    record_cheap: bool = Field(
        default=True,
        description="Whether positions without a full search are recorded and train the value; else they are dropped.",
    )
    surprise_weighting: bool = Field(
        default=False,
        description="Record the positions of a game in proportion to how much the search changed the network's policy "
        "and value (KataGo's policy surprise weighting): 0.4 uniform, 0.5 for the policy, 0.1 for the value.",
    )
    recorded_boards: CountOrZero = Field(
        default=4,
        description="Boards of each actor whose games are kept in games/selfplay, move by move with the visit counts, "
        "for `lab replay`; 0 for none.",
    )

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.cache_slots is not None and self.cache_slots & (self.cache_slots - 1):
            raise ValueError(f"cache_slots must be a power of two or 0, not {self.cache_slots}")
        return self

    @property
    def record_format(self) -> RecordFormat:
        """What is recorded of each position."""
        cheap = self.full_search_fraction < 1.0
        return RecordFormat(entries=self.policy_entries, states=self.record_states, cheap=cheap)
