"""Weights that are NaN or infinite are refused by every kind before anything is computed with them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli.arguments import print_json
from lab.cli.main import main
from lab.config.loading import dump
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint
from lab.run.finite import refuse_non_finite
from lab.run.origin import new_record, origin_of
from tests.test_forged_states import KINDS


def broken(weights: Any) -> None:
    """Put NaN into the last weight of every network in a state."""
    if isinstance(weights, dict):
        for name, part in weights.items():
            if not str(name).startswith("optimizer"):
                broken(part)
    elif isinstance(weights, torch.Tensor) and weights.is_floating_point() and weights.dim() > 1:
        weights[-1] = math.nan


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_of_broken_weights_is_one_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    experiment = KINDS[kind](run)
    (run / "config.yaml").write_text(dump(experiment.config))  # type: ignore[attr-defined]
    new_record(run)
    state = {"experiment": experiment.state_dict()}
    broken(state["experiment"])
    counters = experiment.counters
    checkpoint.save(run / "checkpoints", state, iteration=2, counters=counters, origin=origin_of(run))
    capsys.readouterr()
    assert main(["eval", str(run), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "holds NaN or infinite values; choose an earlier checkpoint" in captured.err


def test_moments_of_an_optimizer_and_states_of_games_may_be_infinite() -> None:
    overflown = torch.tensor([math.inf])
    others = {"optimizer": {"moment": overflown}, "actors": {"selfplay": {"state": [overflown]}}}
    refuse_non_finite(others | {"net": [torch.zeros(2), torch.tensor([1])]}, Path("x"))
    with pytest.raises(CheckpointError, match=r"x: net\.1 holds"):
        refuse_non_finite({"net": [torch.zeros(2), overflown]}, Path("x"))


def test_json_never_has_values_that_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"eval\.2\.loss is NaN or infinite"):
        print_json({"run": "a", "eval": [1.0, 2, {"loss": math.nan}]})
    assert capsys.readouterr().out == ""
