"""Experiments whose iterations several ranks do together: rank 0 runs the loop, the others follow it."""

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from torch import Tensor

from lab.errors import UserError
from lab.run.experiment import EvaluatesElsewhere, Evaluation, Experiment
from lab.run.metrics import Catalogue
from lab.train import random_state
from lab.train.collectives import LEFT, Left, ranks


@runtime_checkable
class SharesAPart(Protocol):
    """An experiment of which the other ranks have only a part."""

    def state_of_ranks(self) -> dict[str, Any]:
        """What they have of its state."""
        ...


class Leading:
    """The leading rank's experiment: to the run loop an ordinary one, whose iterations the other ranks do with it.

    They get its state before the first iteration, so that only this rank reads checkpoints. Leaving it lets them go;
    after an error that is not a person's to mend they are left to whoever started the ranks.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment, self._ranks, self._met = experiment, ranks(), False

    @property
    def progress(self) -> str:
        return self._experiment.progress

    @property
    def counters(self) -> Mapping[str, int]:
        return self._experiment.counters

    @property
    def catalogue(self) -> Catalogue:
        return self._experiment.catalogue

    def iterate(self) -> dict[str, float]:
        self._ranks.broadcast_object(True)
        if not self._met:
            own = self._experiment
            state = own.state_of_ranks() if isinstance(own, SharesAPart) else own.state_dict()
            self._ranks.broadcast_object({"experiment": _on_cpu(state), "random": random_state.capture()})
            self._met = True
        return self._experiment.iterate()

    def evaluate(self) -> Evaluation:
        return self._experiment.evaluate()

    @property
    def evaluating(self) -> int | None:
        return self._experiment.evaluating if isinstance(self._experiment, EvaluatesElsewhere) else None

    def late_evaluations(self) -> list[Evaluation]:
        return self._experiment.late_evaluations() if isinstance(self._experiment, EvaluatesElsewhere) else []

    def state_dict(self) -> dict[str, Any]:
        return self._experiment.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._experiment.load_state_dict(state)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, UserError | KeyboardInterrupt):
            self._ranks.broadcast_object(LEFT)


class Follower(Protocol):
    """What another rank has of an experiment: an `lab.run.experiment.Experiment` of its own, or a part of one."""

    def iterate(self) -> object:
        """Does its share of the leading rank's iteration."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what the leading rank's experiment has for it."""
        ...


def follow(experiment: Follower) -> None:
    """Do the iterations that the leading rank does, until it leaves."""
    mine, met = ranks(), False
    with contextlib.suppress(Left):
        while True:
            mine.broadcast_object(None)
            if not met:
                state = mine.broadcast_object(None)
                experiment.load_state_dict(state["experiment"])
                random_state.restore(state["random"])
                met = True
            # After a NaN the leading rank, which has seen the same numbers, says what becomes of the run.
            with contextlib.suppress(FloatingPointError):
                experiment.iterate()


def _on_cpu(state: Any) -> Any:
    """Nested state with its tensors on the CPU: a device's name means another device to another rank."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, Mapping):
        return {key: _on_cpu(value) for key, value in state.items()}
    return [_on_cpu(value) for value in state] if isinstance(state, list | tuple) else state
