"""A sequences run that was stopped, killed, split into micro batches or shared by ranks is what a whole one is."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.cli.main import main
from lab.nets.rnn import set_padding_masked
from lab.run import checkpoint, metrics
from lab.sequences.experiment import Sequences
from lab.train.collectives import ranks
from lab.train.device import Device
from tests.command_line import launch, wait_until
from tests.lab.small_sequences import config, preset
from tests.ranked import alone_and_in_ranks
from tests.same_run import assert_same_bits, assert_same_run

DEVICE = Device(torch.device("cpu"), "fp32", 1)
RUNS: dict[str, dict[str, Any]] = {
    "one to one": {"data": {"task": "bit_count", "size": 6}, "network": {"shape": "one_to_one", "cell": "gru"}},
    "one to many, by half its own": {
        "data": {"task": "spell", "size": 2},
        "network": {"shape": "one_to_many"},
        "training": {"teacher_forcing": 0.5},
    },
    "many to one": {"data": {"task": "parity", "size": 6}, "network": {"shape": "many_to_one", "dropout": 0.2}},
    "many to one, a number": {"data": {"task": "adding", "size": 4}, "network": {"shape": "many_to_one"}},
    "many to many": {
        "data": {"task": "brackets", "size": 8},
        "network": {"shape": "many_to_many", "bidirectional": True, "layers": 2, "dropout": 0.2},
    },
    "encoder-decoder, by half its own": {
        "network": {"dropout": 0.2, "layers": 2, "attention": "bottom", "heads": 2, "bidirectional": True},
        "training": {"teacher_forcing": 0.5, "micro_batch": 6},
    },
    "language model": {"data": {"window": 8}, "network": {"shape": "language_model", "cell": "gru", "dropout": 0.2}},
}
SHARED: dict[str, dict[str, Any]] = {
    "encoder-decoder, by a third its own": {"training": {"batch_size": 15, "teacher_forcing": 0.7}},
    "many to one": {
        "data": {"task": "parity", "size": 6},
        "network": {"shape": "many_to_one", "cell": "gru", "bidirectional": True},
        "training": {"batch_size": 15},
    },
    "many to one, a number": {
        "data": {"task": "adding", "size": 4},
        "network": {"shape": "many_to_one"},
        "training": {"batch_size": 15},
    },
    "language model": {
        "data": {"window": 8},
        "network": {"shape": "language_model"},
        "training": {"batch_size": 15},
    },
}


def run(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


@pytest.mark.parametrize("name", [*RUNS, "a file"])
def test_a_stopped_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{number:b}\t{number:o}\n" for number in range(1, 101)))
    of_a_file = {"data": {"source": str(tmp_path / "pairs.tsv")}}  # stopped in the second of its epochs
    file = preset(tmp_path, **RUNS.get(name, of_a_file), evaluate={"every": 2})
    run("train", file, "--runs-dir", tmp_path, "--name", "whole")
    run("train", file, "budget=128", "training.decay_examples=256", "--runs-dir", tmp_path, "--name", "parts")
    run("resume", tmp_path / "parts", "budget=256")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_examples_that_nothing_is_learned_from_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run("train", preset(tmp_path, budget=128), "--runs-dir", tmp_path, "--name", "run")
    assert not caplog.messages
    run("resume", tmp_path / "run", "budget=192")
    assert "the learning rate reaches 0 after 128 examples" in caplog.messages[0]


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    # Iterations of 20 steps, long enough to be killed on the way.
    training = {"teacher_forcing": 0.5, "examples_per_iteration": 320}
    file = preset(tmp_path, budget=3840, training=training, evaluate={"every": 3})
    killed = tmp_path / "killed"
    run("train", file, "--runs-dir", tmp_path, "--name", "whole")
    process = launch("train", file, "--runs-dir", tmp_path, "--name", "killed")
    wait_until(lambda: any(entry.iteration >= 3 for entry in metrics.read(killed / "metrics.jsonl")), process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    run("resume", killed)
    assert_same_run(tmp_path / "whole", killed)


def test_accumulated_batches_train_what_whole_ones_do() -> None:
    torch.manual_seed(0)
    whole = Sequences(config(training={"teacher_forcing": 0.5}), Path(), DEVICE)
    parts = Sequences(config(training={"teacher_forcing": 0.5, "micro_batch": 5}), Path(), DEVICE)
    parts.network.load_state_dict(whole.network.state_dict())
    one, other = whole.iterate(), parts.iterate()
    assert one["loss/cross_entropy"] == pytest.approx(other["loss/cross_entropy"], rel=1e-4)
    torch.testing.assert_close(whole.network.state_dict(), parts.network.state_dict(), rtol=2e-3, atol=2e-3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every experiment has become by itself and in two ranks, padding left out in both ways."""
    folder = tmp_path_factory.mktemp("shared")
    alone_and_in_ranks(2, _train_all, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("way", ["packed", "masked"])
@pytest.mark.parametrize("name", SHARED)
def test_two_ranks_train_what_one_process_trains(name: str, way: str, shared: Path) -> None:
    alone, first, second = (
        checkpoint.load(shared / f"{name}, {way}, {of}")[0] for of in ("0 of 1", "0 of 2", "1 of 2")
    )
    assert_same_bits(first, second)
    # Adam divides by the gradient's size: where that is near zero, rounding moves a weight by a part of a step.
    torch.testing.assert_close(alone["network"], first["network"], rtol=2e-3, atol=2e-3)
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)


def _train_all(folder: Path) -> None:
    mine = ranks()
    for name, changes in SHARED.items():
        for way in ("packed", "masked"):
            torch.manual_seed(0)
            experiment = Sequences(config(**changes), folder, DEVICE)
            set_padding_masked(experiment.network, way == "masked")
            losses = [value for _ in range(2) for key, value in experiment.iterate().items() if "loss" in key]
            state = {"network": experiment.network.state_dict(), "losses": losses}
            place = f"{name}, {way}, {mine.rank} of {mine.size}"
            checkpoint.save(folder, state, iteration=0, counters={}, name=place)
