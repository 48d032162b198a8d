"""Who has delivered what: the record by which no game is counted twice, whoever played it and however often."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_COUNTER_BITS, _INCARNATION_BITS = 32, 15
MAX_WORKERS = 2**15 - 1


class Origin(NamedTuple):
    """Where a result comes from. A worker that is replaced has a new incarnation, whose results count from 0."""

    worker: int
    incarnation: int
    number: int


class Ledger:
    """Numbers of the results received from each worker's newest incarnation known.

    Results of one incarnation are received in order, so the next number due says which were received.
    """

    def __init__(self) -> None:
        self._due: dict[int, tuple[int, int]] = {}  # worker -> incarnation, number of its result that is due

    def next_incarnation(self, worker: int) -> int:
        """Enters a new incarnation of this worker; results of earlier ones are refused from now on."""
        incarnation = self._due[worker][0] + 1 if worker in self._due else 0
        self._due[worker] = (incarnation, 0)
        return incarnation

    def accept(self, origin: Origin) -> bool:
        """Whether this result is new, which is noted; False for one received before or of a replaced worker.

        Raises ValueError for a result that skips others, which would hide that they are lost.
        """
        incarnation, due = self._due[origin.worker]
        if origin.incarnation != incarnation or origin.number < due:
            return False
        if origin.number > due:
            raise ValueError(f"result {origin.number} of worker {origin.worker} came before its result {due}")
        self._due[origin.worker] = (incarnation, due + 1)
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"due": [[worker, *due] for worker, due in sorted(self._due.items())]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._due = {worker: (incarnation, number) for worker, incarnation, number in state["due"]}


def first_game_id(worker: int, incarnation: int) -> int:
    """Games of an incarnation have ids from here on, 2**32 of them; games played in process have lower ones than all.

    What is random in a game is a function of its id, so no two incarnations ever play the same game.
    """
    if worker >= MAX_WORKERS or incarnation >= 2**_INCARNATION_BITS:
        raise ValueError(f"worker {worker}, incarnation {incarnation} leave no room for game ids in 64 bits")
    return ((worker + 1) << _INCARNATION_BITS | incarnation) << _COUNTER_BITS
