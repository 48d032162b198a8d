"""Schedules: closed forms, bounds, and the learning rate of a section."""

import logging
from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from lab.config.sections import Config
from lab.train.config import TrainingConfig
from lab.train.learning_rate import learning_rate_at, warn_of_early_decay
from lab.train.schedules import Hyperparameter, Schedule, schedule_value, steps_warmup, value_at, within


class Section(Config):
    decay: Annotated[Hyperparameter, within(ge=0.0, lt=1.0)] = Field(default=0.5)


@pytest.mark.parametrize(
    ("shape", "warmup", "values"),
    [
        ("constant", 0.0, {0.0: 1.0, 0.5: 1.0, 2.0: 1.0}),
        ("constant", 0.5, {0.0: 0.0, 0.25: 0.5, 0.5: 1.0, 1.0: 1.0}),
        ("cosine", 0.0, {0.0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0.0, 1.5: 0.0}),
        ("cosine", 0.2, {0.0: 0.0, 0.1: 0.5, 0.2: 1.0, 0.6: 0.5, 1.0: 0.0}),
        ("linear", 0.2, {0.1: 0.5, 0.2: 1.0, 0.4: 0.75, 0.8: 0.25, 1.0: 0.0}),
        ("one-cycle", 0.25, {0.0: 0.04, 0.125: 0.52, 0.25: 1.0, 0.625: 0.5, 1.0: 0.0, 3.0: 0.0}),
    ],
)
def test_a_schedule_has_its_closed_form(shape: Any, warmup: float, values: dict[float, float]) -> None:
    config = TrainingConfig(learning_rate=2.0, schedule=shape, warmup=warmup)
    for progress, value in values.items():
        assert schedule_value(shape, progress, warmup=warmup) == pytest.approx(value, abs=1e-12)
        assert learning_rate_at(config, int(3000 * progress), 3000) == pytest.approx(2.0 * value, abs=1e-12)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize(("start", "end"), [(0.9, 0.999), (10.0, 1.0)])
def test_a_schedule_goes_from_its_start_to_its_end(shape: Any, start: float, end: float) -> None:
    schedule = Schedule(schedule=shape, start=start, end=end, until=200)
    assert schedule.at(0) == pytest.approx(start, abs=1e-12)
    assert schedule.at(100) == pytest.approx((start + end) / 2, abs=1e-12)
    assert schedule.at(200) == schedule.at(10**9) == end


def test_the_final_fraction_is_of_the_peak() -> None:
    config = TrainingConfig(learning_rate=2.0, schedule="linear", final_fraction=0.1)
    assert [learning_rate_at(config, counter, 100) for counter in (0, 50, 100, 400)] == pytest.approx(
        [2, 1.1, 0.2, 0.2]
    )


def test_without_a_period_the_learning_rate_stays() -> None:
    assert learning_rate_at(TrainingConfig(learning_rate=0.3), 10**6, None) == 0.3


def test_a_learning_rate_that_is_a_schedule_replaces_that_of_the_section() -> None:
    own = {"schedule": "linear", "start": 1.0, "end": 0.5, "until": 10}
    config = TrainingConfig.model_validate({"learning_rate": own, "schedule": "cosine"})
    assert [learning_rate_at(config, counter, 20) for counter in (0, 5, 10, 20)] == [1.0, 0.75, 0.5, 0.5]


def test_a_warm_up_of_steps_rises_linearly_to_one_and_can_be_left_out() -> None:
    assert [steps_warmup(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert steps_warmup(0, 0) == 1.0


def test_a_hyperparameter_is_a_number_or_a_schedule_and_is_written_back_as_given() -> None:
    number = Section.model_validate({"decay": 0.25})
    assert value_at(number.decay, 7) == 0.25
    section = Section.model_validate({"decay": {"start": 0.0, "end": 0.5, "until": 10}})
    assert value_at(section.decay, 5) == 0.25
    for config in (number, section):
        assert Section.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "should be less than 1, not 1"),
        ({"start": 0.5, "end": 1.5, "until": 10}, "should be less than 1, not 1.5"),
        ({"start": -0.5, "end": 0.5, "until": 10}, "should be greater than or equal to 0"),
        ({"start": 0.5, "end": 0.9}, "Field required"),
        ({"start": 0.5, "until": 10, "stop": 3}, "Extra inputs are not permitted"),
        ({"schedule": "one-cycle", "start": 0.5, "until": 10}, "warm-up"),
        (True, "should be a number, not true"),
        ("half", "valid number"),
    ],
)
def test_a_hyperparameter_out_of_bounds_or_incomplete_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Section.model_validate({"decay": value})


def test_a_one_cycle_without_a_warm_up_is_refused() -> None:
    with pytest.raises(ValidationError, match="warmup"):
        TrainingConfig(schedule="one-cycle")


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({}, "training.decay_images"),
        ({"schedule": "constant"}, None),
        ({"final_fraction": 0.1}, None),
        ({"learning_rate": {"start": 1.0, "until": 50}}, "training.learning_rate.until"),
        ({"learning_rate": {"start": 1.0, "end": 0.1, "until": 50}}, None),
    ],
)
def test_a_learning_rate_that_is_0_before_the_budget_is_reported(
    settings: dict[str, Any], setting: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    config = TrainingConfig.model_validate(settings)
    with caplog.at_level(logging.WARNING):
        warn_of_early_decay(config, 100, 80, "images")
    assert (setting in caplog.text) if setting else not caplog.text
