"""Data-parallel training: rank 0 runs the loop, the other ranks follow its iterations."""

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from lab.errors import UserError
from lab.run.experiment import Evaluation, Experiment, Follower
from lab.train import random_state
from lab.train.collectives import STOP, Stopped, ranks


class RankZero(Experiment):
    """The experiment of rank 0; the other ranks run each iteration with it.

    Before the first iteration it sends them its state, so that only rank 0 reads checkpoints. On exit it ends `follow`
    on them, except after an unexpected error: then the launcher of the ranks ends them.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.progress, self.catalogue = experiment.progress, experiment.catalogue
        self._experiment, self._ranks, self._sent_state = experiment, ranks(), False

    @property
    def counters(self) -> Mapping[str, int]:
        return self._experiment.counters

    def iterate(self) -> dict[str, float]:
        self._ranks.broadcast_object(True)
        if not self._sent_state:
            state = _on_cpu(self._experiment.follower_state())
            self._ranks.broadcast_object({"experiment": state, "random": random_state.capture()})
            self._sent_state = True
        return self._experiment.iterate()

    def evaluate(self) -> Evaluation:
        return self._experiment.evaluate()

    def state_dict(self) -> dict[str, Any]:
        return self._experiment.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._experiment.load_state_dict(state)

    def verify_data(self) -> None:
        self._experiment.verify_data()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, UserError | KeyboardInterrupt):
            self._ranks.broadcast_object(STOP)


def follow(follower: Follower) -> None:
    """Run the iterations of rank 0 until it stops."""
    own, loaded = ranks(), False
    with contextlib.suppress(Stopped):
        while True:
            own.broadcast_object(None)
            if not loaded:
                state = own.broadcast_object(None)
                follower.load_state_dict(state["experiment"])
                random_state.restore(state["random"])
                loaded = True
            # Rank 0 has seen the same NaN and decides how the run ends.
            with contextlib.suppress(FloatingPointError):
                follower.iterate()


def _on_cpu(state: Any) -> Any:
    """Nested state with its tensors on the CPU: the same device name is another device on another rank."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, Mapping):
        return {key: _on_cpu(value) for key, value in state.items()}
    return [_on_cpu(value) for value in state] if isinstance(state, list | tuple) else state
