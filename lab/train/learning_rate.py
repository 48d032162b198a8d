"""The learning rate of a run as a function of its progress counter."""

import logging

from lab.train.collectives import ranks
from lab.train.config import ScheduledOptimizerConfig
from lab.train.schedules import Schedule, schedule_value

_log = logging.getLogger(__name__)


def learning_rate_at(config: ScheduledOptimizerConfig, counter: int, period: int | None) -> float:
    """The learning rate when the progress counter is `counter` and the section's schedule ends at `period`.

    Without a period the schedule stays at its beginning. A `learning_rate` that is a schedule of its own has its own
    end and is not combined with the section's.
    """
    peak = config.learning_rate
    if isinstance(peak, Schedule):
        return peak.at(counter)
    progress = counter / period if period else 0.0
    return peak * schedule_value(config.schedule, progress, end=config.final_fraction, warmup=config.warmup)


def warn_of_early_decay(config: ScheduledOptimizerConfig, budget: int, period: int, unit: str) -> None:
    """Log a warning where the learning rate reaches 0 before the budget, as when the budget was raised later."""
    peak = config.learning_rate
    if isinstance(peak, Schedule):
        zero_at = peak.until if peak.at(peak.until) == 0.0 else None
        setting = "training.learning_rate.until"
    else:
        zero_at = None if config.schedule == "constant" or config.final_fraction else period
        setting = f"training.decay_{unit}"
    if zero_at is not None and budget > zero_at and ranks().is_rank_zero:
        _log.warning(
            f"the learning rate reaches 0 after {zero_at:,} {unit} ({setting}), before the budget of {budget:,}: "
            "later steps change nothing; start a new run to train with a schedule of that length"
        )
