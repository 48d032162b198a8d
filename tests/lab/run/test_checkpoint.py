"""Checkpoints are whole and exact, or say in one line what is wrong with them."""

import errno
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from lab.errors import CheckpointError
from lab.run import checkpoint
from lab.train import random_state

ROOT = Path(__file__).parents[3]


def save(directory: Path, state: dict[str, Any] | None = None, iteration: int = 1) -> Path:
    state = {"weights": torch.arange(6.0)} if state is None else state
    return checkpoint.save(directory, state, iteration=iteration, counters={"samples": iteration})


def round_trip(directory: Path, value: Any) -> Any:
    return checkpoint.load(save(directory, {"value": value}))[0]["value"]


DTYPES = [
    "bool",
    "uint8",
    "int16",
    "uint16",
    "int64",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
]
VALUES: list[Any] = [{}, [], [[], {}], None, True, 2**127, -0.0, math.inf, "text", {"$tensor": "not one"}]
DICTS = [{"a.b": {"c/d": 1}}, {0: "a", "0": "b", None: "c"}, {True: 1}, {1.5: 1}]


@pytest.mark.parametrize("dtype", [getattr(torch, name) for name in DTYPES])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_tensors_keep_type_shape_and_bits(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(math.prod(shape)).reshape(shape).to(dtype)
    read = round_trip(tmp_path, tensor)
    assert read.dtype == dtype and read.shape == tensor.shape and torch.equal(read, tensor)


def test_nan_payloads_and_negative_zero_survive(tmp_path: Path) -> None:
    bits = torch.tensor([0x7FC00001, -0x80000000, 0x7F800000], dtype=torch.int32)
    assert torch.equal(round_trip(tmp_path, bits.view(torch.float32)).view(torch.int32), bits)


@pytest.mark.parametrize("value", [*VALUES, *DICTS])
def test_plain_values_come_back_equal_and_of_the_same_type(tmp_path: Path, value: Any) -> None:
    read = round_trip(tmp_path, value)
    assert repr(read) == repr(value)


def test_nan_comes_back_and_the_json_stays_standard(tmp_path: Path) -> None:
    path = save(tmp_path, {"value": math.nan})
    assert math.isnan(checkpoint.load(path)[0]["value"])
    json.loads((path / "state.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_tuples_come_back_as_lists_and_numpy_scalars_as_numbers(tmp_path: Path) -> None:
    assert round_trip(tmp_path, (1, (2.5, np.float64(0.1), np.int64(3)))) == [1, [2.5, 0.1, 3]]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3)[:, ::-1],
        np.array(5),
        np.zeros((0, 2), np.float16),
        np.broadcast_to(1.5, (2, 2)),
    ],
)
def test_arrays_keep_type_and_shape(tmp_path: Path, array: np.ndarray) -> None:
    read = round_trip(tmp_path, array)
    assert isinstance(read, np.ndarray) and read.dtype == array.dtype and read.shape == array.shape
    assert np.array_equal(read, array)


def test_keys_that_look_alike_do_not_overwrite_each_other(tmp_path: Path) -> None:
    state = {0: torch.tensor(1), "0": torch.tensor(2), "a/b": torch.tensor(3), "a": {"b": torch.tensor(4)}}
    read = round_trip(tmp_path, state)
    assert [int(read[0]), int(read["0"]), int(read["a/b"]), int(read["a"]["b"])] == [1, 2, 3, 4]


def test_tensors_that_share_storage_are_read_back_apart(tmp_path: Path) -> None:
    whole = torch.arange(10.0)
    read = round_trip(tmp_path, {"whole": whole, "part": whole[2:4], "turned": whole.reshape(2, 5).T})
    read["part"].zero_()
    assert torch.equal(read["whole"], whole)
    assert torch.equal(read["turned"], whole.reshape(2, 5).T)


def test_an_optimizer_continues_exactly(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.grad = torch.tensor([1.0, -2.0, 3.0])
    optimizer.step()
    other = torch.nn.Parameter(weight.detach().clone())
    continued = torch.optim.AdamW([other], lr=0.5)
    continued.load_state_dict(round_trip(tmp_path, optimizer.state_dict()))
    other.grad = weight.grad.clone()
    optimizer.step()
    continued.step()
    assert torch.equal(weight, other)


def test_all_global_generators_continue(tmp_path: Path) -> None:
    def draw() -> tuple[float, float, float, float]:
        legacy = np.random.standard_normal()  # noqa: NPY002  (an odd number of draws leaves one cached)
        return random.gauss(0, 1), legacy, torch.randn(1).item(), random.random()

    random_state.seed_everything(3)
    draw()
    state = round_trip(tmp_path, random_state.capture())
    expected = draw()
    draw()
    random_state.restore(state)
    assert draw() == expected


def test_the_tensors_are_an_ordinary_safetensors_file(tmp_path: Path) -> None:
    path = save(tmp_path, {"net": {"fc.weight": torch.ones(3, 2), "flag": torch.tensor(True)}})
    read = safetensors.torch.load_file(path / "tensors.safetensors")
    assert set(read) == {"net/fc.weight", "net/flag"} and torch.equal(read["net/fc.weight"], torch.ones(3, 2))


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, np.array(["text"]), {(1, 2): 3}])
def test_a_value_that_cannot_be_held_is_named_by_its_place(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="outer/inner"):
        save(tmp_path, {"outer": {"inner": value}})
    assert list(tmp_path.iterdir()) == []


def _shorten(path: Path) -> None:
    os.truncate(path / "tensors.safetensors", 20)


def _flip_a_bit(path: Path) -> None:
    data = bytearray((path / "tensors.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "tensors.safetensors").write_bytes(data)


def _edit_state(path: Path) -> None:
    (path / "state.json").write_text((path / "state.json").read_text().replace("weights", "weighty"))


def _lose_state(path: Path) -> None:
    (path / "state.json").unlink()


def _lose_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def _garble_manifest(path: Path) -> None:
    (path / "manifest.json").write_text("{")


def _make_foreign(path: Path) -> None:
    (path / "manifest.json").write_text('{"model": "another program"}')


def _make_newer(path: Path) -> None:
    content = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(content | {"schema_version": 99}))


def _drop_a_field(path: Path) -> None:
    content = json.loads((path / "manifest.json").read_text())
    del content["counters"]
    (path / "manifest.json").write_text(json.dumps(content))


DAMAGES = {
    _shorten: "tensors.safetensors is damaged",
    _flip_a_bit: "tensors.safetensors is damaged",
    _edit_state: "state.json is damaged",
    _lose_state: "state.json is missing",
    _lose_manifest: "incomplete",
    _garble_manifest: "manifest.json is damaged",
    _make_foreign: "not a checkpoint of this lab",
    _make_newer: "schema 99",
    _drop_a_field: "manifest.json is damaged",
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.items())
def test_damage_is_told_in_one_line_with_the_path(tmp_path: Path, damage: Callable[[Path], None], reason: str) -> None:
    path = save(tmp_path)
    damage(path)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert reason in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    good, bad = save(tmp_path, iteration=9), save(tmp_path, iteration=10)
    damage(bad)
    lines: list[str] = []
    assert checkpoint.latest_valid(tmp_path, lines.append) == good
    assert [found.path for found in checkpoint.newest_first(tmp_path, lines.append)] == [good]
    assert len(lines) == 2 and str(bad) in lines[0]


def test_none_valid_is_an_error_and_none_at_all_is_not(tmp_path: Path) -> None:
    assert checkpoint.latest_valid(tmp_path / "absent", pytest.fail) is None
    _lose_manifest(save(tmp_path))
    with pytest.raises(CheckpointError, match="none of its checkpoints is valid"):
        checkpoint.latest_valid(tmp_path, lambda line: None)


def test_none_valid_names_what_still_plays_only_where_the_best_is_whole(tmp_path: Path) -> None:
    newest = save(tmp_path)
    best = checkpoint.keep_as(checkpoint.BEST, newest)
    _lose_manifest(newest)
    for hinted in (True, False):
        with pytest.raises(CheckpointError) as caught:
            checkpoint.latest_valid(tmp_path, lambda line: None)
        assert "continue from" not in str(caught.value)
        assert ("--checkpoint best" in str(caught.value)) == hinted
        assert "lab play" not in str(caught.value)  # a classifier has no such verb
        (best / checkpoint.TENSORS).unlink(missing_ok=True)


def test_newest_is_by_number_not_by_spelling(tmp_path: Path) -> None:
    for iteration in (999_999, 1_000_000, 2):
        save(tmp_path, iteration=iteration)
    assert [int(path.name) for path in checkpoint.numbered(tmp_path)] == [1_000_000, 999_999, 2]


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for iteration in range(1, 5):
        path = save(tmp_path, {"iteration": iteration}, iteration)
        if iteration in (1, 2):
            checkpoint.keep_as(checkpoint.BEST, path)
    checkpoint.prune(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003", "000004", "best"]
    assert checkpoint.load(tmp_path / "best")[0] == {"iteration": 2}


def test_saving_again_under_one_name_replaces(tmp_path: Path) -> None:
    save(tmp_path, {"value": 1})
    path = save(tmp_path, {"value": 2})
    assert checkpoint.load(path)[0] == {"value": 2} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["000002", ".replaced-000002", ".writing-x", "pending"])
@pytest.mark.parametrize("kind", ["file", "link", "loop", "pipe"])
def test_what_is_in_the_place_of_a_checkpoint_gives_way_and_its_target_stays(
    tmp_path: Path, name: str, kind: str
) -> None:
    folder, victim = tmp_path / "checkpoints", tmp_path / "victim"
    for path in (folder, victim):
        path.mkdir()
    (victim / "thesis.tex").write_text("years of work")
    place = folder / name
    if kind == "file":
        place.touch()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(place if kind == "loop" else victim)
    checkpoint.tidy(folder)
    for value in (1, 2):
        path = save(folder, {"value": value}, iteration=2)
        assert checkpoint.load(path)[0] == {"value": value}
    checkpoint.drop_pending(folder)
    assert [path.name for path in folder.iterdir()] == ["000002"]
    assert (victim / "thesis.tex").exists()


@pytest.mark.parametrize("step", range(1, 4))
def test_a_crash_between_any_two_renames_loses_nothing(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, {"value": "old"})
    calls = 0
    rename = Path.rename

    def crashing(source: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == step:
            raise KeyboardInterrupt
        return rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crashing)
        if step <= 2:
            with pytest.raises(KeyboardInterrupt):
                save(tmp_path, {"value": "new"})
        else:
            save(tmp_path, {"value": "new"})
    checkpoint.tidy(tmp_path)
    assert checkpoint.load(path)[0] == {"value": "old" if step <= 2 else "new"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("allowed_syncs", range(5))
def test_a_full_disk_at_any_step_leaves_what_was_there(
    tmp_path: Path, allowed_syncs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = save(tmp_path)
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > allowed_syncs:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"000002: No space left on device \(\d+ MiB free\)"):
        save(tmp_path, iteration=2)
    checkpoint.verify(good)
    whole = [good] if allowed_syncs < 4 else [tmp_path / "000002", good]
    assert checkpoint.numbered(tmp_path) == whole and len(list(tmp_path.iterdir())) == len(whole)


def _python(code: str, *arguments: Path) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.slow
def test_a_file_that_cannot_grow_any_further_is_reported_and_removed(tmp_path: Path) -> None:
    save(tmp_path)
    output = _python(
        "import resource, sys, torch; from pathlib import Path; from lab.run import checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "state = {'weights': torch.zeros(1_000_000)}\n"
        "try: checkpoint.save(Path(sys.argv[1]), state, iteration=2, counters={})\n"
        "except checkpoint.CheckpointError as error: print(error)\n",
        tmp_path,
    )
    assert "000002: the limit of the file size (ulimit -f) is reached" in output and "MiB free" not in output
    assert [path.name for path in tmp_path.iterdir()] == ["000001"]


@pytest.mark.slow
def test_writing_takes_no_second_copy_of_the_state(tmp_path: Path) -> None:
    output = _python(
        "import resource, sys, torch; from pathlib import Path; from lab.run import checkpoint\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "checkpoint.save(Path(sys.argv[1]), {}, iteration=1, counters={})\n"
        "state = {'many': [torch.ones(1_000_000) for _ in range(16)]}\n"
        "before = peak()\n"
        "checkpoint.save(Path(sys.argv[1]), state, iteration=2, counters={})\n"
        "print(peak() - before)\n",
        tmp_path,
    )
    assert int(output) < 16_000  # KiB; the state has 64,000
