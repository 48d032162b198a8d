"""AlphaZero's configuration: what it refuses, in one line, before anything is allocated."""

from typing import Any

import pytest

from agents.alphazero.config import AlphaZeroConfig
from lab.config.loading import RESUMABLE, dump, from_settings, load_preset, load_run_config
from lab.config.presets import parse_overrides, read_settings
from lab.errors import UserError
from tests.agents.small_alphazero import config, preset


def test_a_key_of_the_game_is_found_in_its_options() -> None:
    with pytest.raises(UserError, match=r"unknown key 'size'; did you mean 'game\.options\.size'\?"):
        load_preset("alphazero/hex_5x5", ["size=4"])


def made(*overrides: str) -> AlphaZeroConfig:
    settings = {"kind": "alphazero", "budget": 1000, "game": {"name": "tic_tac_toe"}}
    result = from_settings({**settings, **parse_overrides(overrides)}, "the settings")
    assert isinstance(result, AlphaZeroConfig)
    return result


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("game.name=conect_four", "did you mean 'connect_four'"),
        ("game={name: connect_four, options: {rowss: 5}}", "no option 'rowss'; its options are: rows, columns, length"),
        ("game={name: connect_four, options: {length: 9}}", "fits neither"),
        ("game={name: connect_four, options: {rows: 0}}", "rows and columns must be at least 1"),
        ("game={}", "game.name"),
        ("selfplay.opening_plies=9", "below the 9 plies of the longest game"),
        ("selfplay.cache_slots=1000", "power of two"),
        ("selfplay.boards=0", "selfplay.boards"),
        ("selfplay.resign_below=0.5", "selfplay.resign_below"),
        ("replay.capacity=10", "exceeds capacity"),
        ("replay.min_positions=60000", "never start"),
        ("search.algorithm=alphabeta", "search.algorithm"),
        ("search.simulatons=8", "search.simulations"),
        ("learner.learning_rate=0", "learner.learning_rate"),
        ("learner.search_value_fraction=1.5", "learner.search_value_fraction"),
        ("learner.ema_decay=1", "learner.ema_decay"),
        ("network.norm=batchnorm", "network.norm"),
        ("network={trunk: recurrent, channels: 7}", "half of its channels in each direction, and 7 is odd"),
        ("network={trunk: recurrent, squeeze_excitation: 4}", "squeeze_excitation is for residual blocks"),
        ("learner={micro_batch: 8}", "learner.micro_batch and cluster.learners"),
        ("learner.ema_decay={start: 0.5, end: 1.5, until: 100}", "learner.ema_decay should be less than 1, not 1.5"),
        ("learner.value_weight={start: 1, end: 0}", "learner.value_weight.until is missing"),
        ("budget=0", "budget"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(override: str, expected: str) -> None:
    extra = ["cluster.learners=2"] if "micro_batch" in override else []
    name = "game.name=tic_tac_toe"
    overrides = [override] if override.startswith("game") else [name, override]
    with pytest.raises(UserError) as error:
        made(*overrides, *extra)
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("budget", ["2000", "2e3", "2.0e+3", "'2000'"])
def test_the_learning_rate_falls_over_the_first_budget_however_it_is_written(budget: str) -> None:
    config = made(f"budget={budget}")
    assert config.budget == config.learner.decay_positions == 2000


def test_the_learning_rate_can_fall_over_something_else() -> None:
    assert made("learner.decay_positions=70").learner.decay_positions == 70


def test_a_later_budget_moves_no_learning_rate(tmp_path: Any) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(made()))
    later = load_run_config(path, ["budget=5000"])
    assert isinstance(later, AlphaZeroConfig)
    assert later.budget == 5000 and later.learner.decay_positions == 1000


def test_a_bad_budget_is_told_once() -> None:
    with pytest.raises(UserError, match="budget") as error:
        made("budget=lots")
    assert "decay_positions" not in str(error.value)


@pytest.mark.parametrize("key", ["game.name", "search.simulations", "learner.replay_ratio", "selfplay.boards", "seed"])
def test_a_run_keeps_what_makes_it_the_same_experiment(tmp_path: Any, key: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(dump(made()))
    value = "connect_four" if key == "game.name" else "77"
    with pytest.raises(UserError, match=f"cannot change {key}"):
        load_run_config(path, [f"{key}={value}"])
    assert key not in RESUMABLE


def test_it_survives_storage(tmp_path: Any) -> None:
    stored = load_preset(str(preset(tmp_path)))
    assert stored == config() == from_settings(read_settings(dump(config()), "stored"), "stored")
