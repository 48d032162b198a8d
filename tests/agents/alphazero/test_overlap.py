"""Self-play beside the learner: the same numbers in whatever order threads run, one iteration later."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.experiment import AlphaZero, build
from agents.alphazero.overlap import Background
from lab.train import random_state
from tests.agents.small_alphazero import DEVICE, config
from tests.same_run import assert_same_bits

CPU = torch.device("cpu")


def experiment(folder: Path, **selfplay: Any) -> AlphaZero:
    settings = config(selfplay=selfplay)
    folder.mkdir(parents=True, exist_ok=True)
    random_state.seed_everything(settings.seed)
    return build(settings, folder, DEVICE)


def train_then_play(made: AlphaZero, iterations: int) -> None:
    """What overlap computes, one after the other."""
    for _ in range(iterations):
        made._train()
        made._receive(made._poll()[0])
        made._publish()


def test_it_equals_training_before_playing(tmp_path: Path) -> None:
    overlapped, sequential = experiment(tmp_path / "a", overlap=True), experiment(tmp_path / "b")
    for _ in range(10):
        overlapped.iterate()
    train_then_play(sequential, 10)
    assert overlapped.learner.steps > 0
    assert_same_bits(overlapped.state_dict(), sequential.state_dict())
    overlapped.close()


def test_the_work_has_ended_when_the_block_raises() -> None:
    background, ended = Background(CPU), threading.Event()

    def work() -> None:
        time.sleep(0.05)
        ended.set()

    with pytest.raises(FloatingPointError), background.running(work):
        raise FloatingPointError
    assert ended.is_set()
    background.close()


def test_an_error_of_the_work_reaches_the_caller() -> None:
    background = Background(CPU)

    def work() -> None:
        raise OSError("broken")

    with background.running(work) as future:
        pass
    with pytest.raises(OSError, match="broken"):
        future.result()
    background.close()
