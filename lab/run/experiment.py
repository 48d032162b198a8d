"""The contract between the run loop and a kind of experiment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.plots.media import Media
from lab.run.metrics import Catalogue


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation: metrics named in the experiment's catalogue, and media."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    media: Sequence[Media] = ()


class Follower(Protocol):
    """What a data-parallel rank other than 0 runs: an `Experiment`, or the part of one that takes gradient steps."""

    def iterate(self) -> object:
        """Do this rank's part of an iteration of rank 0."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `Experiment.follower_state` returned on rank 0."""
        ...


class Experiment(ABC):
    """Something that the run loop trains, evaluates, saves and resumes exactly.

    The loop owns the iteration number, the budget, checkpoints, tracking and signals. The experiment owns networks,
    optimizers, data and its random state. Abstract methods are required; the others have a default for kinds whose
    ranks all build the same experiment and that hold no threads or processes.
    """

    progress: str
    """Name of the counter that the budget refers to, a key of `counters` (such as "positions")."""

    catalogue: Catalogue
    """Every metric that `iterate` and `evaluate` return."""

    @property
    @abstractmethod
    def counters(self) -> Mapping[str, int]:
        """Work done so far, by name. Values never decrease. The loop itself counts "iterations"."""

    @abstractmethod
    def iterate(self) -> dict[str, float]:
        """Do one iteration (aim for 1-10 s) and return its metrics.

        Raises FloatingPointError when a loss is NaN or infinite; the loop then stops without saving.
        """

    @abstractmethod
    def evaluate(self) -> Evaluation:
        """Evaluate the current state.

        It must not change training: modules keep their training flags (`lab.train.modes.evaluating`) and random
        generators of the experiment keep their state. The loop restores the global generators.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The state that exact resume needs: nested dicts and lists of tensors, arrays and plain values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises CheckpointError for a state of another experiment, UserError where the data has changed.
        """

    def verify_data(self) -> None:  # noqa: B027
        """Compute the fingerprints of data files that are not read whole at the start, and compare.

        Called once before the first iteration of a start or a resume, on rank 0. Raises UserError where a file has
        changed.
        """

    def work(self, count: int) -> float:
        """Estimated work, in any unit, until the progress counter is at `count`: the remaining time follows from it.

        By default every count takes equally long. A kind whose later counts take longer says so here; the estimate may
        change as it measures itself.
        """
        return float(count)

    def follower_state(self) -> dict[str, Any]:
        """The part of the state that other ranks load before their first iteration; by default all of it."""
        return self.state_dict()

    def close(self) -> None:  # noqa: B027
        """Release threads and processes. The experiment is not used afterwards."""
