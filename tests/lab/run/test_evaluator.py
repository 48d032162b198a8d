"""Evaluation beside training by a process of this machine, which may be killed at any moment."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lab.run import checkpoint, metrics
from lab.run.evaluator import EvaluationFailed, EvaluatorProcess
from lab.run.experiment import Evaluation
from lab.train.device import Device
from tests.command_line import wait_until
from tests.lab.toy import BLOCKED_BY, Toy, config, lab, launch, preset

CPU = Device(torch.device("cpu"), "fp32", 1)


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[EvaluatorProcess]:
    found = EvaluatorProcess("tests.lab.toy:state_evaluator", config(evaluation_s=0.5), tmp_path, CPU)
    yield found
    found.close()


def saved(folder: Path) -> tuple[Toy, Path]:
    toy = Toy(config())
    toy.iterate()
    return toy, checkpoint.save(folder, {"experiment": toy.state_dict()}, iteration=1, counters=toy.counters)


def wait(evaluator: EvaluatorProcess) -> Evaluation:
    end = time.monotonic() + 100
    while (found := evaluator.poll(0.5)) is None:
        assert time.monotonic() < end
    return found


def test_it_gives_what_training_would_wait_for_once(evaluator: EvaluatorProcess, tmp_path: Path) -> None:
    toy, path = saved(tmp_path)
    evaluator.start(path)
    found = wait(evaluator)
    assert found.metrics == toy.evaluate().metrics and len(found.media) == 3
    assert evaluator.poll(0.1) is None


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_the_evaluation_arrives_once(
    evaluator: EvaluatorProcess, tmp_path: Path
) -> None:
    toy, path = saved(tmp_path)
    evaluator.start(path)
    first = evaluator.process_id
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert wait(evaluator).metrics == toy.evaluate().metrics
    assert evaluator.process_id != first and evaluator.poll(0.1) is None


@pytest.mark.slow
def test_one_that_dies_every_time_is_given_up_and_the_next_is_evaluated(
    evaluator: EvaluatorProcess, tmp_path: Path
) -> None:
    _, path = saved(tmp_path)
    evaluator.start(path)
    with pytest.raises(EvaluationFailed, match="died 2 times"):
        while True:
            assert evaluator.process_id is not None
            os.kill(evaluator.process_id, signal.SIGKILL)
            assert evaluator.poll(60) is None
    evaluator.start(path)
    assert wait(evaluator).metrics


@pytest.mark.slow
def test_what_goes_wrong_is_one_line(evaluator: EvaluatorProcess, tmp_path: Path) -> None:
    evaluator.start(tmp_path / "nothing")
    with pytest.raises(EvaluationFailed, match="no such checkpoint directory"):
        wait(evaluator)


@pytest.mark.slow
def test_a_run_killed_while_it_is_evaluated_gets_the_evaluation_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, beside = tmp_path / "run", {"every": 5, "best": "toy/score", "device": "cpu"}
    file, block = preset(tmp_path, pause_s=0.1, evaluate=beside), tmp_path / "block"
    block.touch()
    monkeypatch.setenv(BLOCKED_BY, str(block))  # the first process never finishes an evaluation
    process = launch("train", file, "--runs-dir", tmp_path, "--name", "run")
    wait_until((run / "checkpoints" / "pending").exists, process)
    process.kill()
    process.communicate()
    block.unlink()
    output = lab("resume", run)
    assert "evaluation of iteration 5: restarted" in output
    found = [entry for entry in metrics.read(run / "metrics.jsonl") if "toy/score" in entry.metrics]
    at = [entry.metrics.get("eval/at_iteration", entry.iteration) for entry in found]
    assert at[0] == 5 and at[-1] == 20 and len(set(at)) == len(at)
    assert not (run / "checkpoints" / "pending").exists()
