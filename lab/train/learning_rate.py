"""The learning rate of a run as a function of its progress counter."""

import logging

from lab.train.collectives import ranks
from lab.train.config import ScheduledOptimizerConfig
from lab.train.schedules import Schedule, schedule_value

_log = logging.getLogger(__name__)


def learning_rate_at(config: ScheduledOptimizerConfig, counter: int, period: int | None) -> float:
    """The learning rate when the progress counter is `counter` and the section's schedule ends at `period`.

    Without a period the schedule stays at its start. If `learning_rate` is itself a schedule, the section's schedule is
    ignored.
    """
    peak = config.learning_rate
    if isinstance(peak, Schedule):
        return peak.at(counter)
    progress = counter / period if period else 0.0
    return peak * schedule_value(config.schedule, progress, end=config.final_fraction, warmup=config.warmup)


def reaches_zero_at(config: ScheduledOptimizerConfig, period: int | None) -> int | None:
    """The count of samples from which on the learning rate is 0: later steps have no effect. None if it never is."""
    peak = config.learning_rate
    if isinstance(peak, Schedule):
        return peak.until if peak.at(peak.until) == 0.0 else None
    return None if config.schedule == "constant" or config.final_fraction else period


def warn_of_early_decay(
    config: ScheduledOptimizerConfig,
    budget: int,
    period: int,
    unit: str,
    setting_unit: str = "",
    section: str = "training",
) -> None:
    """Log a warning if the learning rate reaches 0 before the budget, as after the budget was raised.

    unit: of the budget. setting_unit: in the name of the setting, if it is another. section: that of the setting.
    """
    zero_at = reaches_zero_at(config, period)
    has_schedule = isinstance(config.learning_rate, Schedule)
    setting = f"{section}.learning_rate.until" if has_schedule else f"{section}.decay_{setting_unit or unit}"
    if zero_at is not None and budget > zero_at and ranks().is_rank_zero:
        _log.warning(
            f"the learning rate reaches 0 after {zero_at:,} {unit} ({setting}), before the budget of {budget:,}: "
            "later steps have no effect; start a new run for a longer schedule"
        )
