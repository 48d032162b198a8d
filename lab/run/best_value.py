"""The best value of a metric over the evaluations of a run, and the patience of early stopping."""

from dataclasses import dataclass


@dataclass
class BestValue:
    """The best value so far, its iteration, and the number of evaluations since then."""

    value: float | None = None
    iteration: int | None = None
    no_better: int = 0

    def update(self, value: float, iteration: int, *, lower_is_better: bool, counts: bool) -> bool:
        """Take the value of an evaluation; return whether it is the best so far.

        counts: whether a value that is not better counts against the patience. The extra evaluation at the end of a
        budget does not: a run with a larger budget would not have had it.
        """
        if self.value is not None and not (value < self.value if lower_is_better else value > self.value):
            self.no_better += counts
            return False
        self.value, self.iteration, self.no_better = value, iteration, 0
        return True

    def exceeds(self, patience: int | None) -> bool:
        """Whether early stopping with this patience ends the run; None never does."""
        return patience is not None and self.no_better >= patience


def stop_reason(metric: str | None, evaluations: int) -> str:
    """Why a run stops early, in words."""
    last = "evaluation" if evaluations == 1 else f"{evaluations} evaluations"
    return f"no better {metric} in the last {last}"
