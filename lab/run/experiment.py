"""The seam between the run loop and whatever is being trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from lab.plots.media import Media
from lab.run.metrics import Catalogue


@dataclass(frozen=True)
class Evaluation:
    """The result of grading an experiment: metrics named in its catalogue, and media to look at.

    at: the progress counter at which it was asked for, where that was earlier.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    media: Sequence[Media] = ()
    at: int | None = None


class Experiment(Protocol):
    """Something the run loop can train, grade, save and continue exactly.

    The loop owns the iteration number, the budget, checkpoints, tracking and signals; the experiment owns
    networks, optimizers, data and its random state.
    """

    @property
    def progress(self) -> str:
        """Name of the counter that the budget refers to, a key of `counters` (e.g. "positions")."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """Work done so far by name; never decreases. "iterations" is the loop's own and not among them."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """Every metric that `iterate` and `evaluate` return."""
        ...

    def iterate(self) -> dict[str, float]:
        """Do one iteration (aim for 1-10 s) and return its metrics.

        Raises FloatingPointError when a loss is NaN or infinite; the loop then stops without saving.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """All it needs to continue exactly: nested dicts and lists of tensors, arrays and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        ...

    def evaluate(self) -> Evaluation:
        """Grade the current state. Must leave the random state of training as it was."""
        ...


@runtime_checkable
class EvaluatesElsewhere(Protocol):
    """An experiment whose `evaluate` may only begin the work, which ends while training goes on."""

    @property
    def evaluating(self) -> int | None:
        """The progress counter at which the evaluation under way was asked for; None while there is none."""
        ...

    def late_evaluations(self) -> list[Evaluation]:
        """Those that have ended since they were asked for, each once, with `at`."""
        ...
