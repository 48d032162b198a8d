"""The sequential probability ratio test of a match: it stops as soon as one of two strengths is decided.

Generalised SPRT on the outcomes of pairs of games: the likelihood of a strength is the largest of all distributions of
pairs with its expected score. Source: Michel Van den Bergh, "A practical introduction to the GSPRT" (2020,
https://hardy.uhasselt.be/Fishtest/GSPRT_approximation.pdf); the test of fishtest, Stockfish's framework for testing.
"""

import math
from dataclasses import dataclass
from typing import Literal

from agents.arena.elo import expected_score
from agents.arena.pentanomial import Counts, profile
from lab.errors import UserError

LARGEST_ELO = 2000.0
Decision = Literal["H0", "H1"]


@dataclass(frozen=True)
class Sprt:
    """H0: the player is elo0 stronger than the opponent (or weaker, if negative); H1: elo1.

    alpha: how often H1 is accepted although H0 is true; beta: how often H0 is accepted although H1 is true. Both hold
    approximately, by Wald's bounds.
    """

    elo0: float
    elo1: float
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not -LARGEST_ELO <= self.elo0 < self.elo1 <= LARGEST_ELO:
            raise UserError(
                f"--sprt takes two Elo differences, the smaller one first, from -{LARGEST_ELO:g} to {LARGEST_ELO:g}, "
                f"not {self.elo0:g} {self.elo1:g}"
            )

    @property
    def lower(self) -> float:
        """The log-likelihood ratio at which H0 is accepted."""
        return math.log(self.beta / (1 - self.alpha))

    @property
    def upper(self) -> float:
        """The log-likelihood ratio at which H1 is accepted."""
        return math.log((1 - self.beta) / self.alpha)

    def llr(self, counts: Counts) -> float:
        """Log-likelihood ratio of H1 to H0, given the outcomes of pairs."""
        zero, one = (profile(counts, expected_score(elo)).log_likelihood for elo in (self.elo0, self.elo1))
        return one - zero

    def decide(self, counts: Counts) -> Decision | None:
        """The hypothesis that pairs with these outcomes accept, or None to go on."""
        llr = self.llr(counts)
        return "H1" if llr >= self.upper else "H0" if llr <= self.lower else None
