"""Elo ratings with 95% intervals: the Bradley-Terry model, a draw is half a win and half a loss.

The results of a pool are `score` [P, P], points of the row's player against the column's, and `games` [P, P], the
number of their games; score + score.T == games.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

PER_LOGIT = 400.0 / math.log(10.0)
_DROP = 1.9207  # half of the 95% quantile of chi-squared with one degree of freedom (1.96 ** 2)
_WIDEST = 15.0  # logits, about 2600 Elo: the largest bound that is reported
_RIDGE = 1e-7  # keeps the solution finite where the likelihood has no maximum


@dataclass(frozen=True)
class Rating:
    """One player's strength relative to the anchor.

    elo: the maximum likelihood estimate where it exists. It does not exist for a player or a group that won all or no
    points from the others; then each pair that played gets one more drawn game, and one end of the interval is
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


def ratings(names: Sequence[str], score: Matrix, games: Matrix, anchor: int = 0) -> list[Rating]:
    """Ratings of P players relative to `anchor`, which has 0.

    The model assumes independent games that are won or lost. Draws have less variance, and the two games of an opening,
    one with each colour, balance its advantage: both make intervals too wide. Repeated games make them too narrow:
    players without randomness play an opening the same way each time, so openings must differ.
    Raises ValueError when some players are not connected by games, directly or through others.
    """
    if not _connected(games > 0):
        raise ValueError("some players are not connected by games, so they cannot be compared")
    # An estimate exists if and only if every player is linked to every other by points (Ford 1957).
    finite = _strongly_connected(score > 0)
    played = (games > 0).astype(float)
    likeliest = _fit(score, games, anchor)
    strengths = likeliest if finite else _fit(score + played / 2, games + played, anchor)
    top = _log_likelihood(likeliest, score)
    result = []
    for player, name in enumerate(names):
        if player == anchor:
            result.append(Rating(name, 0.0, 0.0, 0.0))
            continue
        low, high = (_bound(score, games, anchor, player, top, likeliest[player], s) for s in (-1.0, 1.0))
        result.append(Rating(name, *(PER_LOGIT * float(x) for x in (strengths[player], low, high))))
    return result


def _log_likelihood(strengths: Matrix, score: Matrix) -> float:
    difference = strengths[:, None] - strengths[None, :]
    return float(-(score * np.logaddexp(0.0, -difference)).sum())


def _fit(score: Matrix, games: Matrix, anchor: int, fixed: tuple[int, float] | None = None) -> Matrix:
    """Maximum likelihood strengths [P] in logits, with `anchor` at 0 and `fixed` (player, strength) held constant."""
    strengths = np.zeros(len(score))
    free = np.array([p for p in range(len(score)) if p != anchor and (fixed is None or p != fixed[0])])
    if fixed is not None:
        strengths[fixed[0]] = fixed[1]
    if not len(free):
        return strengths
    for _ in range(100):
        expected = 1.0 / (1.0 + np.exp(-(strengths[:, None] - strengths[None, :])))
        gradient = (score - games * expected).sum(1) - _RIDGE * strengths
        spread = games * expected * (1.0 - expected)
        hessian = np.diag(spread.sum(1) + _RIDGE) - spread
        step = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        step *= min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))  # Newton steps overshoot far from the maximum
        strengths[free] += step
        if np.abs(step).max() < 1e-9:
            break
    return strengths


def _bound(score: Matrix, games: Matrix, anchor: int, player: int, top: float, start: float, sign: float) -> float:
    """Strength above (sign 1) or below (-1) `start` at which the profile likelihood has dropped by _DROP."""

    def inside(strength: float) -> bool:
        profile = _log_likelihood(_fit(score, games, anchor, (player, strength)), score)
        return top - profile < _DROP

    near, far = start, sign * _WIDEST
    if inside(far):
        return sign * math.inf
    while abs(far - near) > 1e-4:
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return near


def _connected(linked: NDArray[np.bool_]) -> bool:
    return _strongly_connected(linked | linked.T)


def _strongly_connected(linked: NDArray[np.bool_]) -> bool:
    """Whether every player reaches every other along links (Warshall 1962)."""
    reach = linked | np.eye(len(linked), dtype=bool)
    for via in range(len(reach)):
        reach |= reach[:, via : via + 1] & reach[via : via + 1, :]
    return bool(reach.all())
