"""Evaluation on solved positions: rates of optimal moves, and the calibration of the value head."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.arena.players import AgentLike, to_device
from agents.arena.positions import Positions
from agents.games.game import Game, select

_BINS = 10


@dataclass(frozen=True)
class Rates:
    """A rate in [0, 1] over all positions, by phase of the game and by set; None where there are none."""

    overall: float | None
    by_phase: dict[str, float | None]
    by_set: dict[str, float | None]


@dataclass(frozen=True)
class MoveQuality:
    """Rates of optimal moves.

    optimal_outcome: moves that keep the position's game-theoretic outcome (win, draw or loss).
    optimal_score: moves with the best exact score.
    nontrivial_outcome, nontrivial_score: the same among positions where some legal move is not optimal.
    """

    optimal_outcome: Rates
    optimal_score: Rates
    nontrivial_outcome: Rates
    nontrivial_score: Rates


class CalibrationBin(NamedTuple):
    """Positions whose predicted value lies in [low, high): their number, mean prediction and mean outcome."""

    low: float
    high: float
    positions: int
    predicted: float | None
    exact: float | None


@dataclass(frozen=True)
class Calibration:
    """The value head's expected outcome in [-1, 1] against the exact one (-1, 0 or 1), without search.

    expected_error: mean over bins of |mean predicted - mean exact|, by positions (Naeini et al. 2015).
    mean_error: mean of |value - exact outcome|, by positions.
    brier: mean squared difference of the expected scores (value + 1) / 2, in [0, 1] (Brier 1950).
    mean_value: the mean prediction among won, drawn and lost positions.
    """

    expected_error: float
    brier: float
    mean_value: dict[str, float | None]
    bins: list[CalibrationBin]
    mean_error: float


@dataclass(frozen=True)
class Report:
    """Evaluation of one agent: its moves with search, the moves of the network alone, and the value head."""

    positions: int
    simulations: int
    searched: MoveQuality
    network_alone: MoveQuality
    calibration: Calibration

    def as_json(self) -> dict[str, Any]:
        """Plain values, as `lab eval --json` prints them."""
        return {
            **_moves_json(self.searched),
            "network_alone": _moves_json(self.network_alone),
            "calibration": {**asdict(self.calibration), "bins": [b._asdict() for b in self.calibration.bins]},
            "positions": self.positions,
            "simulations": self.simulations,
        }


def evaluate_positions(
    agent: AgentLike,
    positions: Positions,
    *,
    simulations: int,
    chunk: int = 512,
    progress: Callable[[int], None] = lambda count: None,
) -> Report:
    """Evaluate the agent's decision in every position, `chunk` boards at a time.

    progress: called with the number of positions of each finished chunk.
    """
    searched, alone, values = [], [], []
    device = positions.scores.device
    for index in torch.arange(len(positions), device=device).split(chunk):
        states = to_device(select(positions.states, index), agent.device)
        searched.append(agent.decide(states, simulations).action)
        alone.append(agent.decide(states, 0).action if simulations else searched[-1])
        values.append(agent.evaluate(positions.game.observe(states))[1])
        progress(len(index))
    return Report(
        positions=len(positions),
        simulations=simulations,
        searched=evaluate_moves(positions, torch.cat(searched).to(device)),
        network_alone=evaluate_moves(positions, torch.cat(alone).to(device)),
        calibration=calibrate(torch.cat(values).to(device), positions.scores.amax(1).sign()),
    )


def evaluate_moves(positions: Positions, actions: Tensor) -> MoveQuality:
    """Rates of actions int64 `[N]`."""
    scores = positions.scores
    illegal = scores == Positions.ILLEGAL
    best = scores.amax(1)
    worst = scores.masked_fill(illegal, -Positions.ILLEGAL).amin(1)
    chosen = scores.gather(1, actions[:, None])[:, 0]
    keeps = (chosen.sign() == best.sign()) & (chosen != Positions.ILLEGAL)
    exact = chosen == best
    everywhere = torch.ones_like(keeps)
    return MoveQuality(
        optimal_outcome=_rates(positions, keeps, everywhere),
        optimal_score=_rates(positions, exact, everywhere),
        nontrivial_outcome=_rates(positions, keeps, worst.sign() < best.sign()),
        nontrivial_score=_rates(positions, exact, worst < best),
    )


def calibrate(value: Tensor, exact: Tensor) -> Calibration:
    """Predicted values float32 `[N]` in [-1, 1] against exact outcomes `[N]` of -1, 0 or 1."""
    value, exact = value.double(), exact.double()
    number = ((value + 1) / 2 * _BINS).floor().clamp(0, _BINS - 1)
    bins, error = [], 0.0
    for b in range(_BINS):
        inside = number == b
        predicted, outcome = _mean(value[inside]), _mean(exact[inside])
        bins.append(CalibrationBin(2 * b / _BINS - 1, 2 * (b + 1) / _BINS - 1, int(inside.sum()), predicted, outcome))
        if predicted is not None and outcome is not None:
            error += abs(predicted - outcome) * int(inside.sum()) / len(value)
    named = {"won": 1, "drawn": 0, "lost": -1}
    return Calibration(
        expected_error=error,
        brier=float(((value - exact) / 2).square().mean()),
        mean_value={name: _mean(value[exact == outcome]) for name, outcome in named.items()},
        bins=bins,
        mean_error=float((value - exact).abs().mean()),
    )


def phase_names(game: Game) -> tuple[str, str, str]:
    """Thirds of the longest game in plies: 0-14, 15-28 and 29+ for Connect Four."""
    third = game.max_plies // 3
    return f"0-{third}", f"{third + 1}-{2 * third}", f"{2 * third + 1}+"


def _rates(positions: Positions, hit: Tensor, among: Tensor) -> Rates:
    third = positions.game.max_plies // 3
    phase = torch.bucketize(positions.game.plies(positions.states), torch.tensor([third, 2 * third], device=hit.device))
    names = phase_names(positions.game)
    by_set = {}
    for name in dict.fromkeys(positions.sets):
        inside = torch.tensor([s == name for s in positions.sets], device=hit.device)
        by_set[name] = _mean(hit[among & inside])
    return Rates(
        overall=_mean(hit[among]),
        by_phase={name: _mean(hit[among & (phase == s)]) for s, name in enumerate(names)},
        by_set=by_set,
    )


def _mean(values: Tensor) -> float | None:
    return float(values.double().mean()) if len(values) else None


def _moves_json(moves: MoveQuality) -> dict[str, Any]:
    return {
        "optimal_outcome": _rates_json(moves.optimal_outcome),
        "optimal_score": _rates_json(moves.optimal_score),
        "nontrivial": {
            "optimal_outcome": _rates_json(moves.nontrivial_outcome),
            "optimal_score": _rates_json(moves.nontrivial_score),
        },
    }


def _rates_json(rates: Rates) -> dict[str, Any]:
    plain: dict[str, Any] = {"overall": rates.overall, "by_phase": rates.by_phase}
    return plain | ({"by_set": rates.by_set} if rates.by_set else {})
