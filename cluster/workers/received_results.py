"""Record of the results received from workers, so that no game is counted twice."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lab.files.plain import is_count

_COUNTER_BITS, _INCARNATION_BITS = 32, 15
MAX_WORKERS = 2**15 - 1


class Origin(NamedTuple):
    """The origin of a result. A replaced worker has a new incarnation, whose results are numbered from 0."""

    worker: int
    incarnation: int
    number: int


class ReceivedResults:
    """The next result number of every worker's newest incarnation.

    Results of one incarnation arrive in order, so the next number determines which were received.
    """

    def __init__(self) -> None:
        self._next: dict[int, tuple[int, int]] = {}  # worker -> incarnation, number of its next result

    def next_incarnation(self, worker: int) -> int:
        """Begin a new incarnation of this worker; results of earlier ones are refused from now on."""
        incarnation = self._next[worker][0] + 1 if worker in self._next else 0
        self._next[worker] = (incarnation, 0)
        return incarnation

    def accept(self, origin: Origin) -> bool:
        """Record a result; False for one received before or of a replaced worker.

        Raises ValueError for a result that skips others, since those would be lost without notice.
        """
        incarnation, number = self._next[origin.worker]
        if origin.incarnation != incarnation or origin.number < number:
            return False
        if origin.number > number:
            raise ValueError(f"result {origin.number} of worker {origin.worker} came before its result {number}")
        self._next[origin.worker] = (incarnation, number + 1)
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"next": [[worker, *known] for worker, known in sorted(self._next.items())]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not all(is_count(value) for entry in state["next"] for value in entry):
            raise ValueError("the numbers of the results of workers are damaged")
        self._next = {worker: (incarnation, number) for worker, incarnation, number in state["next"]}


def first_game_id(worker: int, incarnation: int) -> int:
    """The first of the 2**32 game ids of an incarnation; games played in the learner's process have lower ids.

    Random numbers of a game are a function of its id, so no two incarnations play the same game.
    """
    if worker >= MAX_WORKERS or incarnation >= 2**_INCARNATION_BITS:
        raise ValueError(f"worker {worker}, incarnation {incarnation} exceed the 64 bits of game ids")
    return ((worker + 1) << _INCARNATION_BITS | incarnation) << _COUNTER_BITS
