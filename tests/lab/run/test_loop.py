"""The run loop trains to a budget, grades without disturbing, stops at NaN, and continues bit for bit."""

import io
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.config.loading import dump
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint, loop, metrics
from lab.run.checkpoint import read_manifest
from lab.run.evaluator import EvaluationFailed, Evaluator
from lab.run.experiment import Evaluation
from lab.run.run_dir import RunDir
from lab.terminal.consoles import Console
from lab.train import random_state
from tests.command_line import wait_until
from tests.lab.toy import Toy, ToyConfig, config, lab, launch, preset
from tests.same_run import assert_same_bits, assert_same_run, final_state


def train(
    path: Path, settings: ToyConfig, experiment: Toy | None = None, evaluator: Evaluator | None = None
) -> tuple[loop.Outcome, str]:
    """Begin or continue the run at `path` in this process; returns the outcome and what was printed."""
    output = io.StringIO()
    random_state.seed_everything(settings.seed)
    exists = path.exists()
    with RunDir.open(path) if exists else RunDir.create(path.parent, path.name, dump(settings)) as run_dir:
        console = Console(file=output, width=300)
        outcome = loop.run(experiment or Toy(settings), settings, run_dir, console=console, evaluator=evaluator)
    return outcome, output.getvalue()


class Interrupting(Toy):
    def iterate(self) -> dict[str, float]:
        raise KeyboardInterrupt


def test_a_keyboard_interrupt_that_no_signal_has_caused_is_an_error(tmp_path: Path) -> None:
    settings = config(budget=80)
    with pytest.raises(UserError, match=r"KeyboardInterrupt was raised without a signal, in .*test_loop.py, line \d+$"):
        train(tmp_path / "run", settings, Interrupting(settings))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 iterations through the command line."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    lab("train", preset(folder), "--runs-dir", folder, "--name", "run")
    return folder / "run"


def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    slow = preset(tmp_path, pause_s=0.05, checkpoint={"every": 4})
    process = launch("train", slow, "--runs-dir", tmp_path, "--name", "run")
    # Two iterations past the checkpoint, so that there is work to lose.
    wait_until(lambda: any(entry.iteration == 10 for entry in metrics.read(run / "metrics.jsonl")), process)
    process.kill()
    process.communicate()
    killed_at = max(entry.iteration for entry in metrics.read(run / "metrics.jsonl"))
    assert process.returncode == -9 and killed_at < 20
    output = lab("resume", run)
    assert "continuing from iteration" in output and "bit for bit" not in output
    assert_same_run(uninterrupted, run)


def test_in_process_and_command_line_train_the_same(uninterrupted: Path, tmp_path: Path) -> None:
    train(tmp_path / "run", config())
    assert_same_run(uninterrupted, tmp_path / "run")


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_falls_back_and_arrives_at_the_same_place(
    uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    tensors = run / "checkpoints" / "000020" / "tensors.safetensors"
    tensors.unlink()  # not rewritten in place: best is a link to the same file
    output = lab("resume", run, "budget=168")
    assert "skipped checkpoint" in output and "tensors.safetensors is missing" in output
    assert "continuing from iteration 15" in output
    straight = tmp_path / "straight"
    train(straight, config(budget=168))
    assert_same_run(straight, run)


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_all_damaged_never_begins_again(uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    for path in checkpoint.numbered(run / "checkpoints"):
        (path / "state.json").unlink()
    before = metrics.read(run / "metrics.jsonl")
    output = lab("resume", run, "budget=200", code=2)
    assert "none of its checkpoints is valid" in output and "Traceback" not in output
    assert metrics.read(run / "metrics.jsonl") == before


def test_a_raised_budget_equals_a_longer_run(tmp_path: Path) -> None:
    train(tmp_path / "straight", config(budget=160))
    train(tmp_path / "run", config(budget=80))
    train(tmp_path / "run", config(budget=160))
    assert_same_run(tmp_path / "straight", tmp_path / "run")


def test_checkpoints_and_evaluations_do_not_alter_training(tmp_path: Path) -> None:
    train(tmp_path / "often", config(checkpoint={"every": 1}, evaluate={"every": 1}))
    train(tmp_path / "never", config(checkpoint={"every": 1000}, evaluate={"every": 0}))
    states = [final_state(tmp_path / name)[0] for name in ("often", "never")]
    assert_same_bits(states[0]["experiment"], states[1]["experiment"])
    assert_same_bits(states[0]["random"], states[1]["random"])


def test_a_run_ends_with_an_evaluation_and_a_checkpoint_whatever_the_intervals(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path / "run", config(budget=24, checkpoint={"every": 1000}, evaluate={"every": 1000}))
    assert outcome.exit_code == 0 and outcome.checkpoint == tmp_path / "run" / "checkpoints" / "000003"
    assert "toy/score" in {name for entry in metrics.read(tmp_path / "run" / "metrics.jsonl") for name in entry.metrics}


class Graded(Toy):
    """Its score is what the test says, by iteration."""

    def __init__(self, settings: ToyConfig, scores: dict[int, float]) -> None:
        super().__init__(settings)
        self.scores = scores

    def evaluate(self) -> Evaluation:
        return Evaluation({"toy/score": self.scores[self.counters["samples"] // 8]})


def test_the_checkpoint_with_the_highest_score_is_kept_as_best(tmp_path: Path) -> None:
    settings = config(checkpoint={"every": 1000}, evaluate={"every": 2, "best": "toy/score"}, budget=64)
    train(tmp_path / "run", settings, Graded(settings, {2: 0.1, 4: 0.9, 6: float("nan"), 8: 0.9}))
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "best")[1].iteration == 4


def test_where_less_is_better_the_lowest_is_best(tmp_path: Path) -> None:
    class Losing(Toy):
        def evaluate(self) -> Evaluation:
            return Evaluation({"toy/loss": {2: 0.5, 4: 0.2, 6: 0.7, 8: 0.3}[self.counters["samples"] // 8]})

    settings = config(checkpoint={"every": 1000}, evaluate={"every": 2, "best": "toy/loss"}, budget=64)
    train(tmp_path / "run", settings, Losing(settings))
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "best")[1].iteration == 4


def test_the_best_survives_a_resume(tmp_path: Path) -> None:
    settings = config(evaluate={"every": 2, "best": "toy/score"}, budget=32)
    train(tmp_path / "run", settings, Graded(settings, {2: 0.9, 4: 0.1}))
    longer = config(evaluate={"every": 2, "best": "toy/score"}, budget=48)
    train(tmp_path / "run", longer, Graded(longer, {6: 0.5}))
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "best")[1].iteration == 2


class Scripted:
    """An evaluator that gives each iteration the score that a test wants, after so many looks at it."""

    def __init__(self, scores: Mapping[int, float], after: int = 3) -> None:
        self.scores, self.after = scores, after
        self.started: list[int] = []
        self._looks = 0

    def start(self, checkpoint: Path) -> None:
        self.started.append(read_manifest(checkpoint).iteration)
        self._looks = 0

    def poll(self, timeout_s: float = 0.0) -> Evaluation | None:
        self._looks += 1
        if self._looks < self.after:
            return None
        at = self.started[-1]
        if at not in self.scores:
            raise EvaluationFailed("no score is written for it")
        return Evaluation({"toy/score": self.scores[at]})


BESIDE = {"checkpoint": {"every": 1000, "keep": 1}, "evaluate": {"every": 4, "best": "toy/score"}}


def scores(run: Path) -> list[tuple[int, float]]:
    """Iterations and the scores recorded at them."""
    rows = [entry for entry in metrics.read(run / "metrics.jsonl") if "toy/score" in entry.metrics]
    return [(entry.iteration, entry.metrics["toy/score"]) for entry in rows]


def test_an_evaluation_that_ends_later_keeps_the_checkpoint_that_it_was_of(tmp_path: Path) -> None:
    settings, folder = config(**BESIDE), tmp_path / "run" / "checkpoints"
    scripted = Scripted({4: 0.1, 8: 0.9, 12: 0.2, 16: 0.3, 20: 0.4})
    _, output = train(tmp_path / "run", settings, evaluator=scripted)
    assert checkpoint.load(folder / "best")[1].iteration == 8
    assert "evaluation of iteration 8: started" in output and "evaluation at iteration 8: toy/score 0.9" in output
    assert "best toy/score 0.9 at iteration 8" in output
    assert scores(tmp_path / "run") == [(7, 0.1), (11, 0.9), (15, 0.2), (19, 0.3), (20, 0.4)]
    late = [entry.metrics.get("eval/at_iteration") for entry in metrics.read(tmp_path / "run" / "metrics.jsonl")]
    assert [at for at in late if at is not None] == [4, 8, 12, 16]
    assert not (folder / "pending").exists()


def test_one_evaluation_runs_at_a_time_and_the_last_is_waited_for(tmp_path: Path) -> None:
    scripted = Scripted(dict.fromkeys((4, 12, 20), 0.5), after=7)
    _, output = train(tmp_path / "run", config(**BESIDE), evaluator=scripted)
    assert scripted.started == [4, 12, 20]
    assert "no evaluation of iteration 8: that of 4 is still running" in output
    assert scores(tmp_path / "run") == [(11, 0.5), (19, 0.5), (20, 0.5)]


def test_an_evaluation_that_fails_costs_nothing_else(tmp_path: Path) -> None:
    _, output = train(tmp_path / "run", config(**BESIDE), evaluator=Scripted({8: 0.1, 16: 0.3, 20: 0.2}))
    assert "no evaluation of iteration 4: no score is written for it" in output
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "best")[1].iteration == 16


def test_a_reason_that_repeats_is_said_once_and_counted(tmp_path: Path) -> None:
    _, output = train(tmp_path / "run", config(**BESIDE), evaluator=Scripted({16: 0.3, 20: 0.2}))
    assert output.count("no score is written for it") == 1
    assert "2 further evaluations were left out for the same reason" in output
    assert "evaluation at iteration 16" in output
    _, output = train(tmp_path / "never", config(**BESIDE), evaluator=Scripted({}))
    assert output.count("no score is written for it") == 1
    assert "4 further evaluations were left out for the same reason" in output


def test_an_evaluation_outlasts_its_process_and_the_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody is left"):
        train(tmp_path / "run", config(**BESIDE, stopped_at=6), evaluator=Scripted({}))
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "pending")[1].iteration == 4
    scripted = Scripted({4: 0.9, 8: 0.1, 12: 0.7, 16: 0.3, 20: 0.2})
    _, output = train(tmp_path / "run", config(**BESIDE), evaluator=scripted)
    assert scripted.started == [4, 8, 12, 16, 20] and "evaluation of iteration 4: restarted" in output
    assert [score for _, score in scores(tmp_path / "run")] == [0.9, 0.1, 0.7, 0.3, 0.2]
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "best")[1].iteration == 4


def test_without_an_evaluator_what_was_being_evaluated_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody is left"):
        train(tmp_path / "run", config(**BESIDE, stopped_at=6), evaluator=Scripted({}))
    _, output = train(tmp_path / "run", config(**BESIDE))
    assert "no evaluation of iteration 4" in output
    assert not (tmp_path / "run" / "checkpoints" / "pending").exists()


@pytest.mark.parametrize("complete", [False, True])
def test_a_crash_before_the_pending_checkpoint_became_the_best_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: bool
) -> None:
    settings, folder = config(**BESIDE), tmp_path / "run" / "checkpoints"
    at = 16 if complete else 4
    found = dict.fromkeys((4, 8, 12, 16, 20), 0.1) | {at: 0.9}
    promote = checkpoint.promote_pending

    def crash(directory: Path) -> None:
        if checkpoint.read_manifest(directory / "pending").iteration == at:
            raise CheckpointError("the power failed")
        promote(directory)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "promote_pending", crash)
        with pytest.raises(CheckpointError, match="the power failed"):
            train(tmp_path / "run", settings, evaluator=Scripted(found, after=4 if complete else 3))
    train(tmp_path / "run", settings, evaluator=Scripted(found))
    assert checkpoint.load(folder / "best")[1].iteration == at
    assert not (folder / "pending").exists()


def test_a_damaged_pending_checkpoint_is_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints"
    with pytest.raises(UserError, match="nobody is left"):
        train(tmp_path / "run", config(**BESIDE, stopped_at=6), evaluator=Scripted({}))
    (folder / "pending" / "manifest.json").unlink()
    train(tmp_path / "run", config(**BESIDE), evaluator=Scripted({8: 0.1, 12: 0.7, 16: 0.3, 20: 0.2}))
    assert checkpoint.load(folder / "best")[1].iteration == 12


def test_an_unknown_best_metric_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="toy/scroe"):
        train(tmp_path / "run", config(evaluate={"best": "toy/scroe"}))
    assert not (tmp_path / "run").exists()


def test_nan_stops_before_saving_and_leaves_a_bundle(tmp_path: Path) -> None:
    run = tmp_path / "run"
    output = lab("train", preset(tmp_path, nan_at=10), "--runs-dir", tmp_path, "--name", "run", code=2)
    assert "iteration 10: toy/loss is nan" in output and "debug/iteration-000010" in output
    assert "Traceback" not in output
    assert [path.name for path in checkpoint.numbered(run / "checkpoints")] == ["000005"]
    assert max(entry.iteration for entry in metrics.read(run / "metrics.jsonl")) == 9
    bundle = run / "debug" / "iteration-000010"
    assert checkpoint.load(bundle)[0]["counters"] == {"samples": 80}
    assert json.loads((bundle / "failure.json").read_text())["metrics"] == {"toy/loss": "nan"}
    assert (bundle / "config.yaml").read_text() == (run / "config.yaml").read_text()
    assert len((bundle / "metrics-tail.jsonl").read_text().splitlines()) > 9
    assert "UserError: iteration 10: toy/loss is nan" in (run / "log.txt").read_text()


def test_a_floating_point_error_stops_in_the_same_way(tmp_path: Path) -> None:
    class Overflowing(Toy):
        def iterate(self) -> dict[str, float]:
            raise FloatingPointError("gradient norm is inf")

    with pytest.raises(UserError, match="iteration 1: gradient norm is inf; nothing was saved before"):
        train(tmp_path / "run", config(), Overflowing(config()))
    assert checkpoint.numbered(tmp_path / "run" / "checkpoints") == []


@pytest.mark.slow
def test_an_experiment_that_cannot_go_on_is_saved_first(tmp_path: Path) -> None:
    output = lab("train", preset(tmp_path, stopped_at=3), "--runs-dir", tmp_path, "--name", "run", code=2)
    assert "lab: nobody is left to work" in output and "Traceback" not in output
    (saved,) = checkpoint.numbered(tmp_path / "run" / "checkpoints")
    assert checkpoint.load(saved)[0]["experiment"]["counters"] == {"samples": 16}


def test_a_checkpoint_whose_own_files_are_damaged_is_passed_over(tmp_path: Path) -> None:
    class Picky(Toy):
        def load_state_dict(self, state: Mapping[str, Any]) -> None:
            if state["counters"]["samples"] == 160:
                raise CheckpointError("replay/000001.bin is damaged")
            super().load_state_dict(state)

    train(tmp_path / "run", config())
    longer = config(budget=168)
    _, output = train(tmp_path / "run", longer, Picky(longer))
    assert "replay/000001.bin is damaged" in output and "continuing from iteration 15" in output


def test_another_thread_count_is_said_not_to_be_exact(tmp_path: Path) -> None:
    train(tmp_path / "run", config(budget=8))
    torch.set_num_threads(2)
    try:
        _, output = train(tmp_path / "run", config(budget=16, threads=2))
    finally:
        torch.set_num_threads(1)
    assert "not bit for bit" in output and "threads 1 -> 2" in output


@pytest.mark.slow
@pytest.mark.parametrize("budget", [160, 168])
def test_a_lost_record_of_metrics_is_said_when_the_run_is_resumed(budget: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    lab("train", preset(tmp_path), "--runs-dir", tmp_path, "--name", "run")
    assert "incomplete or gone" not in lab("resume", run)
    (run / "metrics.jsonl").write_bytes(b"")
    assert f"{run}/metrics.jsonl is incomplete or gone: those up to iteration 20 are lost" in lab(
        "resume", run, f"budget={budget}"
    )


def test_a_full_disk_while_logging_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics.MetricsLog, "append", full)
    with pytest.raises(UserError, match=r"No space left on device .* free"):
        train(tmp_path / "run", config())


def test_the_terminal_and_log_txt_say_the_same(tmp_path: Path) -> None:
    _, output = train(tmp_path / "run", config())
    logged = [line.split(" ", 2)[2] for line in (tmp_path / "run" / "log.txt").read_text().splitlines()]
    assert output.splitlines() == logged
    assert logged[0].startswith("iteration 1 | 8/160 samples") and logged[-1].startswith("complete: 160 samples")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_live_line_and_a_file_does_not(tmp_path: Path, terminal: bool) -> None:
    output = io.StringIO()
    settings = config()
    console = Console(file=output, force_terminal=terminal, width=200)
    with RunDir.create(tmp_path, "run", dump(settings)) as run_dir:
        loop.run(Toy(settings), settings, run_dir, console=console)
    assert ("iteration 19 |" in output.getvalue()) == terminal
    assert ("\x1b[" in output.getvalue()) == terminal


def test_a_second_process_is_kept_out_of_a_running_run(tmp_path: Path) -> None:
    refused: list[str] = []

    class Nested(Toy):
        def iterate(self) -> dict[str, float]:
            try:
                other = RunDir.open(tmp_path / "run")
                loop.run(Toy(config()), config(), other)
            except UserError as error:
                refused.append(str(error))
            return super().iterate()

    train(tmp_path / "run", config(budget=8), Nested(config(budget=8)))
    assert len(refused) == 1 and "is being trained by" in refused[0]


@pytest.mark.parametrize(
    ("best", "said"),
    [
        ("nothing", "is no metric of this experiment; known: toy/loss, toy/score"),
        ("toy/scores", "did you mean 'toy/score'?"),
        ("eval/at_iteration", "cannot choose the best checkpoint; known:"),
        ("time/iteration_s", "cannot choose the best checkpoint; known:"),
    ],
)
def test_a_best_metric_that_cannot_be_names_those_that_can(best: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        train(tmp_path / "run", config(evaluate={"every": 5, "best": best}))
