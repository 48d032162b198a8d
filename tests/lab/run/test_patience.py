"""Early stopping: a run ends once its evaluations have not improved for as long as it was told to wait."""

import io
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.config.loading import dump, from_settings
from lab.errors import ExperimentStopped, UserError
from lab.run import loop
from lab.run.experiment import Evaluation
from lab.run.run_dir import RunDir
from lab.terminal.consoles import Console
from lab.train import random_state
from tests.lab.toy import Toy, ToyConfig, config
from tests.same_run import assert_same_bits, final_state

SCORES = {5: 0.1, 10: 0.3, 12: 0.2, 15: 0.2, 20: 0.3, 25: 0.4}  # by iteration; the best of the first four is at 10


class Graded(Toy):
    """A toy whose evaluations come out as they are written above."""

    def evaluate(self) -> Evaluation:
        return Evaluation({"toy/score": SCORES[self.counters["samples"] // 8]})


def patient(patience: int, **changes: Any) -> ToyConfig:
    return config(budget=200, evaluate={"every": 5, "best": "toy/score", "patience": patience}, **changes)


def train(path: Path, settings: ToyConfig) -> tuple[int, str]:
    """Begin or continue; the iterations done and what was said."""
    output = io.StringIO()
    random_state.seed_everything(settings.seed)
    with RunDir.open(path) if path.exists() else RunDir.create(path.parent, path.name, dump(settings)) as run_dir:
        outcome = loop.run(Graded(settings), settings, run_dir, console=Console(file=output, width=300))
    assert outcome.exit_code == 0
    return outcome.iteration, output.getvalue()


@pytest.mark.parametrize(("patience", "iterations"), [(1, 15), (2, 20), (3, 25)])
def test_a_run_ends_after_so_many_evaluations_without_a_better_one(
    patience: int, iterations: int, tmp_path: Path
) -> None:
    done, said = train(tmp_path / "run", patient(patience))
    assert done == iterations
    assert ("stopped early" in said) == (iterations < 25)
    assert RunDir.open(tmp_path / "run").finished


def test_the_last_line_says_why_and_where_the_best_was(tmp_path: Path) -> None:
    _, said = train(tmp_path / "run", patient(2))
    last = said.strip().splitlines()[-1]
    assert "stopped early, no better toy/score in the last 2 evaluations" in last and "at iteration 10" in last


def test_a_run_that_was_stopped_counts_on_where_it_was(tmp_path: Path) -> None:
    train(tmp_path / "whole", patient(2))
    with pytest.raises(ExperimentStopped):
        train(tmp_path / "parts", patient(2, stopped_at=18))
    assert not RunDir.open(tmp_path / "parts").finished
    done, _ = train(tmp_path / "parts", patient(2))
    assert done == 20
    assert_same_bits(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))


def test_more_patience_trains_on_as_if_it_had_been_there_from_the_start(tmp_path: Path) -> None:
    train(tmp_path / "whole", patient(3))
    assert train(tmp_path / "parts", patient(2))[0] == 20
    run_dir = RunDir.open(tmp_path / "parts")
    run_dir.write_config(dump(patient(3)))
    assert not run_dir.finished
    assert train(tmp_path / "parts", patient(3))[0] == 25
    assert_same_bits(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))


def test_patience_without_a_metric_to_wait_for_is_refused() -> None:
    settings = {"kind": "supervised", "budget": 1, "evaluate": {"every": 5, "patience": 2}}
    with pytest.raises(UserError, match=r"evaluate: patience needs a metric"):
        from_settings(settings, "it")


@pytest.mark.slow
def test_resuming_says_that_it_was_stopped_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
        kind: supervised
        budget: 3000
        data: {held_out: 0.05}
        network: {channels: [2], features: 2}
        training: {learning_rate: 1.0e-12, images_per_iteration: 100, batch_size: 20}
        evaluate: {every: 1, best: eval/accuracy, patience: 2}
    """
    (tmp_path / "stuck.yaml").write_text(text)
    assert main(["train", str(tmp_path / "stuck.yaml"), "--runs-dir", str(tmp_path), "--name", "stuck"]) == 0
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "stuck")]) == 0
    said = capsys.readouterr().out
    assert "stopped early: no better eval/accuracy in the last 2 evaluations" in said
    assert f"lab resume {tmp_path / 'stuck'} evaluate.patience=N" in said
    assert main(["resume", str(tmp_path / "stuck"), "evaluate.patience=4"]) == 0
    assert "stopped early, no better eval/accuracy in the last 4 evaluations" in capsys.readouterr().out


def test_a_run_at_its_budget_is_complete_whatever_patience_it_is_given_then(tmp_path: Path) -> None:
    train(tmp_path / "run", patient(3).model_copy(update={"budget": 160}))  # 20 iterations, the last two no better
    run_dir = RunDir.open(tmp_path / "run")
    run_dir.write_config(dump(patient(2).model_copy(update={"budget": 160})))
    assert run_dir.finished and not run_dir.stopped_early
    run_dir.write_config(dump(patient(2)))
    assert RunDir.open(run_dir.path).stopped_early == "no better toy/score in the last 2 evaluations"


def test_a_patience_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    train(tmp_path / "run-001", patient(2))
    config_yaml = tmp_path / "run-001" / "config.yaml"
    config_yaml.write_text(config_yaml.read_text().replace("patience: 2", "patience: abc"))
    with pytest.raises(UserError, match=r"evaluate\.patience should be a whole number, not 'abc'"):
        RunDir.latest_unfinished(tmp_path, "run")


def test_the_evaluation_at_a_budgets_end_is_not_waited_for(tmp_path: Path) -> None:
    # Iterations 5 and 10 are evaluated in turn, 12 because the budget ends there.
    short, whole = patient(1), patient(1)
    train(tmp_path / "parts", short.model_copy(update={"budget": 96}))
    assert not RunDir.open(tmp_path / "parts").stopped_early
    assert train(tmp_path / "parts", whole)[0] == train(tmp_path / "whole", whole)[0] == 15
