"""Replaced positions of the replay buffer: they outlive a reload, belong to their state, and go when they are old."""

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.config import ReplayConfig
from agents.alphazero.records import Samples, blank
from agents.alphazero.replay import ReplayBuffer
from agents.games import make
from lab.errors import CheckpointError
from tests.same_run import assert_same_bits

GAME = make("tic_tac_toe")


def replay(folder: Path, capacity: int = 200) -> ReplayBuffer:
    """A window of 50 positions that hardly grows."""
    settings = ReplayConfig(
        capacity=capacity, window_start=50, min_positions=10, window_exponent=0.1, window_scale=0.01
    )
    return ReplayBuffer(GAME, settings, folder / "replay", saves_kept=2)


def add(memory: ReplayBuffer, count: int) -> None:
    version = torch.arange(memory.total, memory.total + count, dtype=torch.int32)
    memory.extend(Samples(**blank(count, GAME)._asdict() | {"version": version}))


def replace(memory: ReplayBuffer, index: list[int], value: float) -> None:
    at = torch.tensor(index)
    memory.replace(
        at,
        policy=torch.full((len(at), 9), value),
        actions=torch.zeros(len(at), 0),
        search_value=torch.full((len(at),), value),
        version=torch.full((len(at),), 1000),
        cheap=torch.zeros(len(at), 0),
    )


def window(memory: ReplayBuffer) -> Samples:
    return memory.rows(torch.arange(memory.total - memory.window, memory.total))


def overlays(memory: ReplayBuffer) -> list[str]:
    return sorted(path.name for path in memory.directory.glob("overlay-*"))


def test_replaced_positions_survive_a_reload_and_the_last_change_counts(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    add(memory, 20)
    memory.state_dict()
    replace(memory, [3, 5], 0.25)
    add(memory, 10)
    memory.state_dict()
    replace(memory, [5, 25, 29], 0.5)
    add(memory, 10)
    replace(memory, [33], 0.75)  # not on disk yet: its segment has the new row
    state = memory.state_dict()
    assert overlays(memory) == ["overlay-0000000030.safetensors", "overlay-0000000040.safetensors"]
    assert [entry["count"] for entry in state["overlays"]] == [2, 3]
    loaded = replay(tmp_path)
    loaded.load_state_dict(state)
    assert loaded.rows(torch.tensor([3, 5, 25, 29, 33, 34])).search_value.tolist() == [0.25, 0.5, 0.5, 0.5, 0.75, 0.0]
    assert_same_bits(window(loaded), window(memory))


def test_a_state_has_the_positions_of_its_own_time(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    add(memory, 20)
    earlier, then = memory.state_dict(), [field.clone() for field in window(memory)]
    replace(memory, [3], 0.25)
    memory.state_dict()
    loaded = replay(tmp_path)
    loaded.load_state_dict(earlier)
    assert_same_bits(list(window(loaded)), then)
    # It goes on in another way: what the abandoned state wrote is deleted with the next overlay.
    add(loaded, 5)
    replace(loaded, [7], 0.5)
    state = loaded.state_dict()
    assert overlays(loaded) == ["overlay-0000000025.safetensors"]
    again = replay(tmp_path)
    again.load_state_dict(state)
    assert_same_bits(window(again), window(loaded))


def test_overlays_of_positions_that_no_kept_state_samples_are_deleted(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    for step in range(20):
        add(memory, 20)
        if memory.total > 60:
            replace(memory, [memory.total - 45, memory.total - 30], float(step))
        state = memory.state_dict()
        loaded = replay(tmp_path)
        loaded.load_state_dict(state)
        assert_same_bits(window(loaded), window(memory))
    assert 1 <= len(overlays(memory)) <= 5


def test_positions_that_the_ring_has_overwritten_are_not_written_back(tmp_path: Path) -> None:
    memory = replay(tmp_path, capacity=50)
    add(memory, 50)
    memory.state_dict()
    replace(memory, [0, 49], 0.25)
    memory.state_dict()
    add(memory, 30)
    state = memory.state_dict()
    loaded = replay(tmp_path, capacity=50)
    loaded.load_state_dict(state)
    assert_same_bits(window(loaded), window(memory))
    assert float(loaded.rows(torch.tensor([49])).search_value) == 0.25


def test_a_damaged_or_missing_overlay_is_refused(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    add(memory, 20)
    memory.state_dict()
    replace(memory, [3], 0.25)
    state = memory.state_dict()
    path = memory.directory / overlays(memory)[0]
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"overlay .* is damaged"):
        replay(tmp_path).load_state_dict(state)
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot read replay overlay"):
        replay(tmp_path).load_state_dict(state)


@pytest.mark.parametrize(
    "entries",
    [
        7,
        ["../../passwd"],
        [{"total": 20, "count": 1, "end": 4}],
        [{"total": 20, "count": -1, "end": 4, "sha256": ""}],
        [{"total": 20, "count": 9, "end": 4, "sha256": ""}],
        [{"total": 90, "count": 1, "end": 4, "sha256": ""}],
        [{"total": "../x", "count": 1, "end": 4, "sha256": ""}],
        [{"total": 20, "count": 1, "end": 4, "sha256": ""}] * 2,
    ],
)
def test_a_forged_list_of_overlays_is_refused(entries: Any, tmp_path: Path) -> None:
    memory = replay(tmp_path)
    add(memory, 20)
    with pytest.raises(CheckpointError, match="its replay record is damaged"):
        replay(tmp_path).load_state_dict(memory.state_dict() | {"overlays": entries})
