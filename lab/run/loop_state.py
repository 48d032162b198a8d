"""The run loop's part of a checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from lab.files.plain import is_count
from lab.run.best_value import BestValue
from lab.run.checkpoint import is_wandb_id


@dataclass
class LoopState:
    """The run loop's part of a checkpoint, without the random states."""

    iteration: int = 0
    seconds: float = 0.0  # of training, over all resumes
    evaluated_at: int = 0  # iteration of the last evaluation; a signal can come before the one that is due
    pending: int | None = None  # iteration whose checkpoint is being evaluated beside training
    best: BestValue = field(default_factory=BestValue)
    wandb_id: str | None = None

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Read back what `dataclasses.asdict` gave. Raises TypeError, KeyError or ValueError for anything else."""
        for kind, values in ((cls, state), (BestValue, state["best"])):
            if values.keys() != {part.name for part in fields(kind)}:
                raise ValueError("a part of the run loop's state is missing")
        best = BestValue(**state["best"])
        loop = cls(**{**state, "best": best})
        counts = [loop.iteration, loop.evaluated_at, best.no_better]
        marks = [at for at in (loop.pending, best.iteration) if at is not None]
        if not all(is_count(count) for count in (*counts, *marks)):
            raise ValueError("an iteration is not a count")
        if max(loop.evaluated_at, *marks, 0) > loop.iteration:
            raise ValueError("an evaluation comes after its checkpoint")
        if not (_is_number(loop.seconds) and 0 <= loop.seconds < math.inf):
            raise ValueError("the time of training is not a number of seconds")
        if not (best.value is None or _is_number(best.value)) or not is_wandb_id(loop.wandb_id):
            raise ValueError("the best value or the W&B run is of another type")
        return loop


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
