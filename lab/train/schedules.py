"""Schedules: a hyperparameter as a pure function of a counter."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from lab.config.limits import Count
from lab.config.sections import Config, not_boolean

Shape = Literal["constant", "linear", "cosine", "one-cycle"]

_START_OF_CYCLE = 1.0 / 25.0  # of the peak; Smith and Topin 2018 start between a third and a twentieth of it


def schedule_value(
    shape: Shape, progress: float, *, start: float = 1.0, end: float = 0.0, warmup: float = 0.0
) -> float:
    """The value of a schedule at `progress`: 0 is its start, 1 its end; after 1 the value is constant.

    The value first rises linearly to `start` while progress is below `warmup`, a fraction in [0, 1). It then goes from
    `start` to `end`: "linear" in a straight line, "cosine" along half a cosine; "constant" stays. "one-cycle" is
    linear in both parts (Smith and Topin 2018). The rise starts at 0, for "one-cycle" at start / 25.
    """
    progress = min(progress, 1.0)
    if progress < warmup:
        first = start * _START_OF_CYCLE if shape == "one-cycle" else 0.0
        return first + (start - first) * progress / warmup
    if shape == "constant":
        return start
    left = (1.0 - progress) / (1.0 - warmup)
    return end + (start - end) * (0.5 * (1.0 - math.cos(math.pi * left)) if shape == "cosine" else left)


def steps_warmup(step: int, steps: int) -> float:
    """A factor that rises linearly from 1 / steps at step 0 to 1 at the last of `steps` steps; 1 without steps."""
    return min(1.0, (step + 1) / max(steps, 1))


class Schedule(Config):
    """A hyperparameter that is a function of the progress counter, in place of a number."""

    schedule: Shape = Field(default="linear", description="Shape: constant, linear, cosine or one-cycle.")
    start: float = Field(description="Value at the start of the schedule, after the warm-up if there is one.")
    end: float = Field(default=0.0, description="Value at `until` and later.")
    until: Count = Field(description="Value of the run's progress counter at which the schedule ends.")
    warmup: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="Fraction of `until` in which the value rises to `start`."
    )

    @model_validator(mode="after")
    def _one_cycle_rises(self) -> Self:
        check_cycle(self.schedule, self.warmup)
        return self

    def at(self, counter: float) -> float:
        """The value when the run's progress counter is `counter`."""
        progress = counter / self.until
        return schedule_value(self.schedule, progress, start=self.start, end=self.end, warmup=self.warmup)


def _tag(value: Any) -> str:
    return "scheduled" if isinstance(value, Mapping | Schedule) else "number"


Hyperparameter = Annotated[
    Annotated[float, BeforeValidator(not_boolean), Tag("number")] | Annotated[Schedule, Tag("scheduled")],
    Discriminator(_tag),
]
"""Type of a configuration field that takes a number, or a schedule such as

    ema_decay: {schedule: linear, start: 0.9, end: 0.999, until: 100000}

Declare it as `ema_decay: Annotated[Hyperparameter, within(ge=0.0, lt=1.0)]`; `value_at` reads it at a counter.
"""


def value_at(hyperparameter: float | Schedule, counter: float) -> float:
    """The value when the run's progress counter (images, positions, ...) is `counter`."""
    return hyperparameter.at(counter) if isinstance(hyperparameter, Schedule) else hyperparameter


def within(
    *, gt: float | None = None, ge: float | None = None, lt: float | None = None, le: float | None = None
) -> AfterValidator:
    """Bounds of a `Hyperparameter`: of its number, or of the start and the end of its schedule.

    A schedule may end at the bound of `gt`, as a learning rate that falls to 0 does.
    """
    bounds: list[tuple[float | None, str, Callable[[float, float], bool]]] = [
        (gt, "greater than", lambda value, bound: value > bound),
        (ge, "greater than or equal to", lambda value, bound: value >= bound),
        (lt, "less than", lambda value, bound: value < bound),
        (le, "less than or equal to", lambda value, bound: value <= bound),
    ]

    def check(hyperparameter: float | Schedule) -> float | Schedule:
        if isinstance(hyperparameter, Schedule):
            ends = [hyperparameter.start, *([] if hyperparameter.end == gt else [hyperparameter.end])]
        else:
            ends = [hyperparameter]
        for value in ends:
            for bound, words, holds in bounds:
                if bound is not None and not holds(value, bound):
                    raise ValueError(f"should be {words} {bound:g}, not {value:g}")
        return hyperparameter

    return AfterValidator(check)


def check_cycle(shape: Shape, warmup: float) -> None:
    """Raise ValueError for a one-cycle schedule without a warm-up."""
    if shape == "one-cycle" and not warmup:
        raise ValueError("schedule one-cycle begins with a warm-up: set warmup to a fraction of the schedule, say 0.25")
