"""Replay buffer: a window that grows sublinearly, sampled evenly by counter, whose segments outlive any crash."""

import errno
import hashlib
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from agents.alphazero.config import ReplayConfig
from agents.alphazero.records import Samples, blank
from agents.alphazero.replay import ReplayBuffer, window_size
from agents.games import make
from lab.errors import CheckpointError
from lab.run import checkpoint
from tests.same_run import assert_same_bits

GAME = make("tic_tac_toe")


def replay(folder: Path, saves_kept: int = 2, **settings: Any) -> ReplayBuffer:
    """The window is all of it up to 50 positions, then grows to a quarter of what was seen."""
    defaults = {"capacity": 200, "window_start": 50, "min_positions": 10, "window_exponent": 0.5, "window_scale": 0.5}
    return ReplayBuffer(GAME, ReplayConfig(**(defaults | settings)), folder / "replay", saves_kept)


def positions(first: int, end: int) -> Samples:
    """Positions whose every field is a function of their index; `version` is the index itself."""
    index = torch.arange(first, end)
    bytes_ = torch.stack([index % 256, index // 256 % 256, index * 7 % 256], 1)
    content = {
        "planes": bytes_.to(torch.uint8),
        "policy": torch.nn.functional.one_hot(index % 9, 9).to(torch.float16),
        "outcome": (index % 3 - 1).to(torch.int8),
        "search_value": (index % 11 / 11).to(torch.float16),
        "version": index.to(torch.int32),
    }
    return Samples(**blank(end - first, GAME)._asdict() | content)


def fill(memory: ReplayBuffer, count: int, step: int = 7) -> None:
    while memory.total < count:
        memory.extend(positions(memory.total, min(memory.total + step, count)))


def in_window(memory: ReplayBuffer) -> set[int]:
    """Indices that can be sampled, found by sampling."""
    return set(memory.sample(40 * memory.window, 0, 0).version.tolist())


def files(memory: ReplayBuffer) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(memory.directory.iterdir())}


# The window


@pytest.mark.parametrize(
    ("exponent", "scale", "total", "expected"),
    [
        (0.5, 0.5, 0, 0),
        (0.5, 0.5, 99, 99),
        (0.5, 0.5, 100, 100),
        (0.5, 0.5, 400, 200),  # 100 * (1 + 0.5 * (2 - 1) / 0.5)
        (0.5, 0.5, 10_000, 1000),  # 100 * (1 + 0.5 * (10 - 1) / 0.5)
        (0.5, 0.25, 10_000, 550),
        (1.0, 1.0, 12_345, 12_345),
        (0.75, 0.4, 1600, 473),  # 100 * (1 + 0.4 * (8 - 1) / 0.75)
    ],
)
def test_window_is_the_closed_form(exponent: float, scale: float, total: int, expected: int) -> None:
    config = ReplayConfig(window_start=100, min_positions=10, window_exponent=exponent, window_scale=scale)
    assert window_size(config, total) == expected


@pytest.mark.parametrize(("exponent", "scale"), [(0.75, 0.4), (0.1, 1.0), (1.0, 1.0), (0.9, 0.05)])
def test_window_never_shrinks_grows_sublinearly_and_never_takes_back_what_it_left(
    exponent: float, scale: float
) -> None:
    config = ReplayConfig(window_start=500, min_positions=10, window_exponent=exponent, window_scale=scale)
    sizes = [window_size(config, total) for total in range(20_000)]
    growth = [later - earlier for earlier, later in pairwise(sizes)]
    assert min(growth) >= 0  # never shrinks
    assert max(growth) <= 1  # its start never moves back, on which pruning relies
    if scale < 1.0:
        shares = [size / total for total, size in enumerate(sizes) if total % 500 == 0 and total > 500]
        assert shares == sorted(shares, reverse=True) and shares[-1] < shares[0]


def test_a_config_in_which_learning_never_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="never start"):
        ReplayConfig(window_start=100, min_positions=101)
    with pytest.raises(ValueError, match="exceeds capacity"):
        ReplayConfig(window_start=100, capacity=99, min_positions=1)


# Sampling


@pytest.mark.parametrize("total", [30, 50, 200, 900])
def test_exactly_the_newest_window_positions_can_be_sampled(tmp_path: Path, total: int) -> None:
    memory = replay(tmp_path)
    fill(memory, total)
    assert memory.window == {30: 30, 50: 50, 200: 100, 900: 200}[total]  # 212 at 900, but capacity is 200
    assert in_window(memory) == set(range(total - memory.window, total))


def test_what_is_sampled_is_what_was_put_in(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    fill(memory, 731)
    batch = memory.sample(64, 0, 0)
    expected = positions(0, 731)
    assert_same_bits(batch, Samples(*(field[batch.version.long()] for field in expected)))


def test_more_positions_at_once_than_fit_leave_the_newest(tmp_path: Path) -> None:
    memory = replay(tmp_path, window_scale=1.0, window_exponent=1.0)
    memory.extend(positions(0, 533))
    assert memory.window == 200 and in_window(memory) == set(range(333, 533))


def test_sampling_is_even_over_the_window(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    fill(memory, 200)
    draws = torch.cat([memory.sample(500, 3, step).version for step in range(40)]) - 100
    expected = 20_000 / 100
    chi_square = float(((torch.bincount(draws, minlength=100) - expected).square() / expected).sum())
    assert 51 < chi_square < 148  # 99 degrees of freedom: outside once in a thousand


def test_a_batch_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    fill(memory, 200)
    batch = memory.sample(32, 1, 5)
    memory.sample(32, 1, 6)
    assert_same_bits(memory.sample(32, 1, 5), batch)
    assert_same_bits(Samples(*(field[:8] for field in batch)), memory.sample(8, 1, 5))
    for other in (memory.sample(32, 1, 6), memory.sample(32, 2, 5)):
        assert not torch.equal(other.version, batch.version)


# Segments


def test_segments_only_get_more_and_are_named_with_their_hashes(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    before: dict[str, bytes] = {}
    for total in (20, 33, 33, 60):
        fill(memory, total)
        state = memory.state_dict()
        now = files(memory)
        assert before.items() <= now.items()
        assert {s["name"]: s["sha256"] for s in state["segments"]} == {
            name: hashlib.sha256(data).hexdigest() for name, data in now.items()
        }
        before = now
    assert [(s["first"], s["end"]) for s in state["segments"]] == [(0, 20), (20, 33), (33, 60)]


@pytest.mark.parametrize("total", [0, 30, 120, 900])
def test_read_back_it_samples_the_same_and_goes_on_the_same(tmp_path: Path, total: int) -> None:
    memory, other = replay(tmp_path), replay(tmp_path)
    for save in range(6):
        fill(memory, total * (save + 1) // 6)
        state = memory.state_dict()
    fill(other, 17)
    path = checkpoint.save(tmp_path, state, iteration=1, counters={})
    other.load_state_dict(checkpoint.load(path)[0])
    for more in (0, 10, 100):
        fill(memory, total + more)
        fill(other, total + more)
        assert other.total == memory.total and other.window == memory.window
        if memory.window:
            assert_same_bits(other.sample(300, 0, 1), memory.sample(300, 0, 1))
    assert_same_bits(other.state_dict(), memory.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("kept", [1, 2, 12])
def test_pruning_leaves_what_the_kept_checkpoints_need_and_disk_use_is_bounded(tmp_path: Path, kept: int) -> None:
    memory = replay(tmp_path, saves_kept=kept)
    states = []
    for save in range(1, 40):
        fill(memory, 40 * save)
        states.append((memory.state_dict(), memory.sample(50, 0, 0)))
        # One more than is kept: a save can fail after the pruning, and the newest checkpoint be damaged.
        for state, batch in states[-kept - 1 :]:
            reader = replay(tmp_path)
            reader.load_state_dict(state)
            assert_same_bits(reader.sample(50, 0, 0), batch)
    assert len(files(memory)) < 30
    with pytest.raises(CheckpointError, match="cannot read replay segment"):
        replay(tmp_path).load_state_dict(states[0][0])


def damage_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("damage", [damage_bytes, damage_length, Path.unlink], ids=["flipped", "cut", "missing"])
def test_a_damaged_segment_is_a_checkpoint_error_that_names_it(tmp_path: Path, damage: Any) -> None:
    memory = replay(tmp_path)
    fill(memory, 20)
    memory.state_dict()
    fill(memory, 40)
    state = memory.state_dict()
    victim = memory.directory / state["segments"][0]["name"]
    damage(victim)
    with pytest.raises(CheckpointError, match=victim.name) as error:
        replay(tmp_path).load_state_dict(state)
    assert "\n" not in str(error.value)


def test_a_segment_left_out_is_noticed(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    for total in (20, 40):
        fill(memory, total)
        state = memory.state_dict()
    state["segments"].pop()
    with pytest.raises(CheckpointError, match="ends at 20, not 40"):
        replay(tmp_path).load_state_dict(state)


def test_a_full_disk_leaves_no_half_file_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = replay(tmp_path)
    fill(memory, 20)
    memory.state_dict()
    before = files(memory)
    fill(memory, 45)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"segment-.*: No space left on device \(\d+ MiB free\)"):
            memory.state_dict()
    assert files(memory) == before
    state = memory.state_dict()
    reader = replay(tmp_path)
    reader.load_state_dict(state)
    assert_same_bits(reader.sample(100, 0, 0), memory.sample(100, 0, 0))


def test_a_segment_is_on_the_disk_before_a_checkpoint_can_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    memory = replay(tmp_path)
    fill(memory, 20)
    memory.state_dict()
    assert len(synced) == 2 and synced[1] == str(memory.directory)  # the file, then its name


# Untrusted records


def two_saves(folder: Path) -> dict[str, Any]:
    """The state after 20 positions and then 60, whose window still needs both segments."""
    memory = replay(folder, window_scale=1.0)
    for total in (20, 60):
        fill(memory, total)
        state = memory.state_dict()
    return state


def entry(name: Any = None, first: Any = 0, end: Any = 20, sha256: Any = "0" * 64, **more: Any) -> dict[str, Any]:
    return {"name": f"segment-{first:010d}-{end:010d}.safetensors" if name is None else name, "first": first} | {
        "end": end,
        "sha256": sha256,
        **more,
    }


OUTSIDE = ["../victim", "{tmp}/victim", "..", ".", "", "victim\0", "a/../../victim", None, 7, ["victim"]]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("listed", ["retired", "segments"])
def test_a_record_that_names_a_file_outside_is_refused_and_the_file_stays(
    tmp_path: Path, listed: str, name: Any
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("years of work")
    state = two_saves(tmp_path)
    named = name.format(tmp=tmp_path) if isinstance(name, str) else name
    state[listed] = [{"name": named, "first": 0, "end": 20, "sha256": "0" * 64}, *state[listed]]
    memory = replay(tmp_path)
    with pytest.raises(CheckpointError):
        memory.load_state_dict(state)
    fill(memory, 200)
    memory.state_dict()
    assert victim.read_text() == "years of work"


def forged_records() -> list[Any]:
    """Replacements of parts of a record that have the right hash of the checkpoint around them."""
    counts: list[Any] = [-1, 2**70, 1.5, float("nan"), "20", None, True, [1]]
    lists: list[Any] = [None, 5, "text", {}, [None], [[]], [{}], [entry()], [entry(end=60)]]
    return [
        *[{"total": value} for value in counts],
        *[{"window_starts": value} for value in (None, 3, [None], [-1], ["a"], [10**9])],
        *[{"segments": value} for value in lists],
        *[{"retired": value} for value in (None, [entry(end=0)], [entry(first=60, end=80)], [entry(more=1)])],
        *[{"retired": [entry(name="segment-0000000000-0000000020.safetensors", first=value)]} for value in counts],
        {"retired": [entry(sha256=None)]},
    ]


@pytest.mark.parametrize("forged", forged_records(), ids=str)
def test_a_forged_record_is_a_damaged_checkpoint(tmp_path: Path, forged: dict[str, Any]) -> None:
    state = two_saves(tmp_path) | forged
    with pytest.raises(CheckpointError) as error:
        replay(tmp_path, window_scale=1.0).load_state_dict(state)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", ["total", "segments", "retired", "window_starts"])
def test_a_record_without_a_part_is_a_damaged_checkpoint(tmp_path: Path, missing: str) -> None:
    state = two_saves(tmp_path)
    del state[missing]
    with pytest.raises(CheckpointError, match="replay record is damaged"):
        replay(tmp_path).load_state_dict(state)


def with_first_segment(folder: Path, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """A state whose first segment has these tensors, and their hash."""
    state = two_saves(folder)
    first = state["segments"][0]
    data = safetensors.torch.save(tensors)
    (folder / "replay" / first["name"]).write_bytes(data)
    first["sha256"] = hashlib.sha256(data).hexdigest()
    return state


@pytest.mark.parametrize("changed", [{"more": torch.zeros(20)}, {"policy": None}], ids=["more", "less"])
def test_positions_with_other_fields_are_of_another_version(tmp_path: Path, changed: dict[str, Any]) -> None:
    tensors = {**positions(0, 20)._asdict(), **changed}
    state = with_first_segment(tmp_path, {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(CheckpointError, match=r"written by another version of the program; start a new run.*start.run"):
        replay(tmp_path).load_state_dict(state)


@pytest.mark.parametrize(
    "fields",
    [
        {"policy": torch.zeros(20, 8, dtype=torch.float16)},
        {"policy": torch.zeros(20, 9, dtype=torch.float32)},
        {"planes": torch.zeros(19, 3, dtype=torch.uint8)},
        {"outcome": torch.zeros(20, 1, dtype=torch.int8)},
        {"version": torch.zeros((), dtype=torch.int32)},
    ],
    ids=str,
)
def test_a_segment_of_other_shapes_is_a_damaged_checkpoint(tmp_path: Path, fields: dict[str, Any]) -> None:
    state = with_first_segment(tmp_path, {**positions(0, 20)._asdict(), **fields})
    with pytest.raises(CheckpointError, match="does not hold 20 positions"):
        replay(tmp_path, window_scale=1.0).load_state_dict(state)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_loop(path: Path) -> None:
    path.symlink_to(path)


def make_sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize("replace", [make_fifo, make_device, make_loop, make_sparse, Path.mkdir])
def test_a_segment_that_is_no_regular_file_of_its_size_is_never_read(tmp_path: Path, replace: Any) -> None:
    state = two_saves(tmp_path)
    victim = tmp_path / "replay" / state["segments"][0]["name"]
    victim.unlink()
    replace(victim)
    with pytest.raises(CheckpointError, match=victim.name):
        replay(tmp_path, window_scale=1.0).load_state_dict(state)


def test_other_files_and_folders_beside_the_segments_stay(tmp_path: Path) -> None:
    memory = replay(tmp_path)
    memory.directory.mkdir()
    strangers = ["segment-x.safetensors", "segment-9-x.safetensors", "segment-٣-٤.safetensors", "notes.txt"]
    for name in strangers:
        (memory.directory / name).touch()
    (memory.directory / "segment-0000000050-0000000060.safetensors").mkdir()
    fill(memory, 20)
    memory.state_dict()
    assert {path.name for path in memory.directory.iterdir()} >= {*strangers}
