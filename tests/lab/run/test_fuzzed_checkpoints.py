"""Flipped bits and forged files of checkpoints: noticed, told in one line, and passed over."""

import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import CheckpointError
from lab.run import checkpoint
from lab.run.origin import origin_of
from lab.run.restore import restore_experiment
from lab.run.run_dir import RunDir
from tests import forging
from tests.lab.run.test_loop import train
from tests.lab.toy import Toy, config
from tests.same_run import assert_same_run

LONGER = config(budget=120)


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(folder / "run", config(budget=80))
    return folder / "run"


@pytest.fixture
def run(_trained: Path, tmp_path: Path) -> Path:
    """A complete run of 10 iterations, checkpoints of 5 and 10; every test has a copy of its own."""
    return Path(shutil.copytree(_trained, tmp_path / "run"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of 15 iterations that nothing happened to."""
    path = tmp_path_factory.mktemp("straight") / "run"
    train(path, LONGER)
    return path


def flip(file: Path, sound: bytes, bit: int) -> None:
    data = bytearray(sound)
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def noticed(path: Path, sound: checkpoint.Manifest, read: Callable[[Path], checkpoint.Manifest]) -> bool:
    """Whether a checkpoint is refused in one line; one that is not has the manifest that was written."""
    try:
        found = read(path)
    except CheckpointError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return True
    assert found == sound
    return False


def check_flips(run: Path, counts: dict[str, int], seed: int) -> None:
    path, origin = run / "checkpoints" / "000010", origin_of(run)
    sound, draw = checkpoint.verify(path, origin), random.Random(seed)
    for name, count in counts.items():
        file = path / name
        data = file.read_bytes()
        file.unlink()  # the best may be a link to the same file
        for bit in draw.sample(range(len(data) * 8), count):
            flip(file, data, bit)
            refused = noticed(path, sound, lambda path: checkpoint.load(path, origin)[1])
            assert refused or name == checkpoint.MANIFEST
            if name == checkpoint.MANIFEST:
                assert noticed(path, sound, checkpoint.read_manifest) == refused
        file.write_bytes(data)


def test_a_flipped_bit_is_noticed_or_changes_nothing(run: Path) -> None:
    check_flips(run, {checkpoint.MANIFEST: 300, checkpoint.STATE: 40, checkpoint.TENSORS: 40}, seed=0)


@pytest.mark.slow
def test_thousands_of_flipped_bits_are_noticed_or_change_nothing(run: Path) -> None:
    check_flips(run, {checkpoint.MANIFEST: 5000, checkpoint.STATE: 500, checkpoint.TENSORS: 500}, seed=1)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_with_a_flipped_bit_arrives_at_the_same_place(run: Path, straight: Path, seed: int) -> None:
    file = run / "checkpoints" / "000010" / random.Random(seed).choice([checkpoint.MANIFEST, checkpoint.STATE])
    data = file.read_bytes()
    file.unlink()
    flip(file, data, random.Random(seed).randrange(len(data) * 8))
    train(run, LONGER)
    assert_same_run(straight, run)


def forged_manifests() -> list[tuple[str, Any]]:
    """Parts of a manifest that has the right hash, and other values for them."""
    everywhere: list[Any] = [None, "text", -1, 1.5, True, [], [1], {"a": []}, 2**70, forging.nested(40), ...]
    fits = {"text": "format", "meta": {}, "counters": {}, "settings": {}, "run": "text"}
    parts = ["format", "schema_version", "iteration", "counters", "meta", "files", "versions", "run", "settings"]
    found = [(part, value) for part in parts for value in everywhere if value != fits.get(part, object())]
    found.remove(("meta", {"a": []}))  # an experiment may add to it
    found += [("files", {name: {"bytes": 1, "sha256": ""}}) for name in ("../victim", "/etc/passwd", "manifest.json")]
    found += [("counters", {"samples": value}) for value in everywhere[:-1]]
    found += [("meta", {"no_better": value}) for value in (None, "1", -1, 1.5, math.inf)]
    found += [("meta", {"wandb_id": value}) for value in ("../../x", "/etc", "a/b", ".", "..", 5, "x" * 500, "a b")]
    found += [("meta", {"best_at": value}) for value in ("1", -1, 1.5)] + [("meta", {"progress": 5})]
    return found


@pytest.mark.parametrize(("part", "value"), forged_manifests(), ids=str)
def test_a_forged_manifest_is_a_damaged_checkpoint(run: Path, part: str, value: Any) -> None:
    path = run / "checkpoints" / "000010"
    manifest = json.loads((path / checkpoint.MANIFEST).read_text())
    manifest[part] = value
    if value is ...:
        del manifest[part]
    forging.sign(path, manifest)
    lines: list[str] = []
    found = checkpoint.latest_valid(run / "checkpoints", lines.append, origin_of(run))
    assert found == run / "checkpoints" / "000005" and len(lines) == 1 and "\n" not in lines[0]
    assert not RunDir(run).finished


def _text(text: str) -> Callable[[Any], bytes]:
    return lambda tree: text.encode()


def _section(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda tree: forging.replaced(tree, (name,), value)


def _loop(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda tree: forging.replaced(tree, ("loop", name), value)


_TAGS = ['{"$tensor": 5}', '{"$tensor": []}', '{"$tensor": "no"}', '{"$array": null}', '{"$float": {}}', '{"$dict": 5}']
_TAGS += ['{"$dict": [[[], 1]]}', '{"$dict": [[1]]}', '{"$float": "text"}', '{"$other": 1}', '{"$dict": [[{}, {}]]}']
_WANDB_IDS: list[Any] = [5, "../../x", "a/b", []]
_OTHERS: list[Any] = [None, 5, [], "a", ...]
_BESTS: list[Any] = [None, 5, {}, {"value": "a"}, {"value": 1, "iteration": 99, "no_better": 0}]
FORGED_STATES: list[Callable[[Any], Any]] = [
    *[
        _text(text)
        for text in ("", "null", "[]", "5", "{", "[" * 100_000, '{"a":' * 100_000, "NaN", "1e999", "\\ud800")
    ],
    *[_text(f'{{"loop": {tag}}}') for tag in _TAGS],
    *[_section(name, value) for name in ("loop", "random", "machine", "experiment") for value in _OTHERS],
    *[_loop("iteration", value) for value in (None, -1, 9, 11, "10", 1.5, True, 2**80, {"$float": "nan"})],
    *[_loop("seconds", value) for value in (None, -1, "1", True, {"$float": "nan"}, {"$float": "inf"})],
    *[_loop(name, value) for name in ("evaluated_at", "pending") for value in (-1, 11, "a", 2.5, True)],
    *[_loop("best", value) for value in _BESTS],
    *[_loop("wandb_id", value) for value in _WANDB_IDS],
]


@pytest.mark.parametrize("number", range(len(FORGED_STATES)))
def test_a_forged_state_is_a_damaged_checkpoint(run: Path, number: int) -> None:
    path = run / "checkpoints" / "000010"
    forging.edit_state(path, FORGED_STATES[number])
    with pytest.raises(CheckpointError) as error:
        restore_experiment(Toy(LONGER), checkpoint.Checkpoint(path, *checkpoint.load(path, origin_of(run))))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", range(0, len(FORGED_STATES), 9))
def test_a_forged_state_falls_back_to_the_checkpoint_before(run: Path, number: int) -> None:
    forging.edit_state(run / "checkpoints" / "000010", FORGED_STATES[number])
    _, output = train(run, config(budget=88))
    assert "skipped checkpoint" in output and "continuing from iteration 5" in output
    assert (run / "checkpoints" / "000010.skipped").is_dir()


def test_all_forged_is_one_line_and_nothing_is_restarted(run: Path) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    for path in checkpoint.numbered(run / "checkpoints"):
        forging.edit_state(path, _section("experiment", None))
    with pytest.raises(CheckpointError, match="none of its checkpoints is valid"):
        train(run, LONGER)
    assert (run / "metrics.jsonl").read_bytes() == before
