"""Elo ratings by maximum likelihood, with 95% intervals that respect the pairing of the two games of an opening.

The expected score of a player against another is the logistic function of the difference of their strengths
(Bradley-Terry); the distribution of a pair's score around it is free (see `pentanomial`). For two players the estimate
is that of the mean score. A draw is half a win and half a loss.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.arena.pentanomial import Counts, mean_score, profile

Array = NDArray[np.float64]

PER_LOGIT = 400.0 / math.log(10.0)
_DROP = 1.9207  # half of the 95% quantile of chi-squared with one degree of freedom (1.96 ** 2)
_WIDEST = 15.0  # logits, about 2600 Elo: the largest bound that is reported
_PRECISION = 1e-6  # logits
_RIDGE = 1e-7  # keeps the solution finite where the likelihood has no maximum

Pairs = Mapping[tuple[int, int], Counts]
"""(a, b) -> number of pairs of games in which player a had 0, 1/2, 1, 3/2 and 2 points against player b."""


@dataclass(frozen=True)
class Rating:
    """One player's strength relative to the anchor.

    elo: the maximum likelihood estimate where it exists. It does not exist for a player or a group that won all or no
    points from the others; then each two players that met get one more drawn game, and one end of the interval is
    infinite. low, high: 95% interval from the profile likelihood, without these added games.
    """

    name: str
    elo: float
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        """Whether the games bound the strength on both sides."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def expected_score(elo: float) -> float:
    """The expected score of a player who is this much stronger."""
    return 1.0 / (1.0 + 10.0 ** (-elo / 400.0))


def ratings(names: Sequence[str], pairs: Pairs, anchor: int = 0) -> list[Rating]:
    """Ratings of P players relative to `anchor`, which has 0.

    Pairs of games are taken as independent of each other. Repeated games make intervals too narrow: players without
    randomness play an opening the same way each time, so openings must differ.
    Raises ValueError when some players are not connected by games, directly or through others.
    """
    played = {met: counts for met, counts in pairs.items() if sum(counts) > 0}
    pool = _Pool(len(names), anchor, played)
    linked = np.zeros((len(names), len(names)), dtype=bool)
    for (a, b), counts in played.items():
        linked[a, b] |= mean_score(counts) > 0
        linked[b, a] |= mean_score(counts) < 1
    if not _strongly_connected(linked | linked.T):
        raise ValueError("some players are not connected by games, so they cannot be compared")
    # An estimate exists if and only if every player is linked to every other by points (Ford 1957).
    finite = _strongly_connected(linked)
    likeliest, top = pool.fit()
    strengths = likeliest if finite else pool.with_a_drawn_game().fit()[0]
    result = []
    for player, name in enumerate(names):
        if player == anchor:
            result.append(Rating(name, 0.0, 0.0, 0.0))
            continue
        low, high = (_bound(pool, player, likeliest, top, sign) for sign in (-1.0, 1.0))
        result.append(Rating(name, *(PER_LOGIT * float(x) for x in (strengths[player], low, high))))
    return result


class _Slopes(NamedTuple):
    """The log-likelihood of strengths with its derivative [P] and Fisher information [P, P]."""

    value: float
    gradient: Array
    information: Array


@dataclass(frozen=True)
class _Pool:
    """The pairs of games of P players."""

    players: int
    anchor: int
    pairs: Pairs

    def with_a_drawn_game(self) -> "_Pool":
        """Each two players that met have drawn one more game, half a pair."""
        pairs = {met: (a, b, c + 0.5, d, e) for met, (a, b, c, d, e) in self.pairs.items()}
        return _Pool(self.players, self.anchor, pairs)

    def slopes(self, strengths: Array) -> _Slopes:
        value = -_RIDGE / 2 * float((strengths**2).sum())
        gradient, information = -_RIDGE * strengths, _RIDGE * np.eye(self.players)
        for (a, b), counts in self.pairs.items():
            expected = 1.0 / (1.0 + math.exp(float(strengths[b] - strengths[a])))
            found = profile(counts, expected)
            slope = expected * (1.0 - expected)  # of the expected score by the difference of strengths
            weight = sum(counts) * slope**2 / found.variance
            value += found.log_likelihood
            gradient[[a, b]] += [found.slope * slope, -found.slope * slope]
            information[[a, b], [a, b]] += weight
            information[[a, b], [b, a]] -= weight
        return _Slopes(value, gradient, information)

    def fit(self, fixed: tuple[int, float] | None = None, start: Array | None = None) -> tuple[Array, float]:
        """Maximum likelihood strengths [P] in logits, and the log-likelihood.

        `anchor` is at 0 and `fixed` (player, strength) is held constant. Fisher's scoring method with halved steps.
        """
        strengths = np.zeros(self.players) if start is None else start.copy()
        if fixed is not None:
            strengths[fixed[0]] = fixed[1]
        free = np.array([p for p in range(self.players) if p != self.anchor and (fixed is None or p != fixed[0])])
        here = self.slopes(strengths)
        for _ in range(100 if len(free) else 0):
            step = np.zeros(self.players)
            step[free] = np.linalg.solve(here.information[np.ix_(free, free)], here.gradient[free])
            step *= min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))  # steps overshoot far from the maximum
            there = self.slopes(strengths + step)
            while there.value < here.value and np.abs(step).max() > _PRECISION:
                step /= 2
                there = self.slopes(strengths + step)
            if np.abs(step).max() <= _PRECISION:
                break
            strengths, here = strengths + step, there
        return strengths, here.value


def _bound(pool: _Pool, player: int, likeliest: Array, top: float, sign: float) -> float:
    """Strength above (sign 1) or below (-1) the likeliest at which the profile likelihood has dropped by _DROP."""
    start = likeliest

    def missing(strength: float) -> float:
        """How much less the likelihood has dropped; below 0 outside the interval."""
        nonlocal start
        start, value = pool.fit((player, strength), start)
        return _DROP - (top - value)

    at_far = missing(sign * _WIDEST)
    if at_far > 0:
        return sign * math.inf
    start = likeliest
    return _root(missing, float(likeliest[player]), sign * _WIDEST, _DROP, at_far)


def _root(function: Callable[[float], float], a: float, b: float, at_a: float, at_b: float) -> float:
    """A root between a and b, where the function is positive and negative: regula falsi (Illinois), and bisection
    where it is slow."""
    for attempt in range(200):
        if abs(b - a) < 1e-4:
            break
        middle = (a * at_b - b * at_a) / (at_b - at_a) if attempt % 3 else (a + b) / 2
        value = function(middle)
        if value > 0:
            a, at_a, at_b = middle, value, at_b / 2
        else:
            b, at_b, at_a = middle, value, at_a / 2
    return (a + b) / 2


def _strongly_connected(linked: NDArray[np.bool_]) -> bool:
    """Whether every player reaches every other along links (Warshall 1962)."""
    reach = linked | np.eye(len(linked), dtype=bool)
    for via in range(len(reach)):
        reach |= reach[:, via : via + 1] & reach[via : via + 1, :]
    return bool(reach.all())
