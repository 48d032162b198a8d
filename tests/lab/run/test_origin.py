"""A checkpoint is of its run and its settings, and a run without its checkpoints is never begun again."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.config import yaml_values
from lab.config.loading import dump
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint, metrics, origin
from lab.run.origin import Origin, check, frozen, origin_of, read_record
from lab.run.run_dir import RunDir
from tests.lab.run.test_loop import train
from tests.lab.toy import config, lab
from tests.same_run import assert_same_run

SETTINGS = config(budget=80)
LONGER = config(budget=160)


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(folder / "run", SETTINGS)
    return folder / "run"


@pytest.fixture
def run(_trained: Path, tmp_path: Path) -> Path:
    """A complete run of 10 iterations, checkpoints of 5 and 10; every test has a copy of its own."""
    return Path(shutil.copytree(_trained, tmp_path / "run"))


def other(folder: Path, **changes: Any) -> Path:
    """Another run with other settings."""
    path = folder / "other"
    train(path, config(**changes))
    return path


def edit(run: Path, old: str, new: str) -> None:
    text = (run / "config.yaml").read_text()
    assert old in text
    (run / "config.yaml").write_text(text.replace(old, new))


def records(run: Path) -> tuple[bytes, set[str]]:
    return (run / "metrics.jsonl").read_bytes(), {path.name for path in (run / "checkpoints").iterdir()}


# Foreign checkpoints


@pytest.mark.parametrize("changes", [{"seed": 7}, {"batch": 16}, {}], ids=["seed", "batch", "same settings"])
def test_a_checkpoint_of_another_run_is_passed_over(run: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    foreign = other(tmp_path, budget=240 if "batch" not in changes else 480, **changes) / "checkpoints" / "000030"
    shutil.copytree(foreign, run / "checkpoints" / "000030")
    _, output = train(run, LONGER)
    assert "000030: belongs to another run" in output and "continuing from iteration 10" in output
    train(tmp_path / "straight", LONGER)
    assert_same_run(tmp_path / "straight", run)


def test_a_run_with_a_foreign_newest_checkpoint_is_not_complete(run: Path, tmp_path: Path) -> None:
    edit(run, "budget: 80", "budget: 160")
    assert not RunDir.open(run).finished
    foreign = other(tmp_path, budget=240) / "checkpoints" / "000030"
    shutil.copytree(foreign, run / "checkpoints" / "000030")
    assert not RunDir.open(run).finished


def test_a_checkpoint_under_another_number_is_passed_over_and_costs_no_later_one(run: Path, tmp_path: Path) -> None:
    (run / "checkpoints" / "000010").rename(run / "checkpoints" / "999999")
    _, output = train(run, LONGER)
    assert "is the checkpoint of iteration 10 under another name" in output
    assert "continuing from iteration 5" in output
    assert [path.name for path in checkpoint.numbered(run / "checkpoints")] == ["000020", "000015"]
    train(tmp_path / "straight", LONGER)
    assert_same_run(tmp_path / "straight", run)


@pytest.mark.parametrize("name", ["999999", "9" * 18, "9" * 200, "000020", "٠٠٠٠٢٠"])
def test_a_checkpoint_that_appears_during_training_takes_nobodys_place(run: Path, tmp_path: Path, name: str) -> None:
    (run / "checkpoints" / name).mkdir()
    for iteration in range(11, 14):
        checkpoint.save(run / "checkpoints", {}, iteration=iteration, counters={}, origin=origin_of(run))
        checkpoint.prune(run / "checkpoints", 1, newest=iteration)
        assert (run / "checkpoints" / f"{iteration:06d}").is_dir()


EDITS = [
    ("seed: 0", "seed: 1"),
    ("batch: 8", "batch: 4"),
    ("every: 5", "every: 4"),
    ("batch: 8\n", ""),
    ("precision: auto", "precision: fp32"),
    ("best: toy/score", "best: toy/loss"),
]


@pytest.mark.parametrize(("old", "new"), EDITS, ids=str)
def test_an_edited_configuration_is_refused_by_name_and_nothing_is_lost(run: Path, old: str, new: str) -> None:
    edit(run, old, new)
    before = records(run)
    with pytest.raises(UserError, match=r"was trained with .*, but config.yaml now says .*: put the old values back"):
        train(run, LONGER)
    assert records(run) == before
    assert not RunDir.open(run).finished


def test_resuming_an_edited_run_is_one_line(run: Path) -> None:
    edit(run, "batch: 8\n", "")
    edit(run, "budget: 80", "budget: 160")
    message = lab("resume", run, code=2)
    assert (
        message.count("\n") == 1
        and "000010: was trained with batch=8, but config.yaml now says batch not set" in message
    )


RESUMABLE = [
    ("budget: 80", "budget: 160"),
    ("patience: null", "patience: 9"),
    ("threads: 1", "threads: null"),
    ("wandb: 'off'", "wandb: offline"),
    ("description: ''", "description: renamed"),
]


@pytest.mark.parametrize(("old", "new"), RESUMABLE, ids=str)
def test_settings_that_a_resume_may_change_may_be_edited(run: Path, old: str, new: str) -> None:
    edit(run, old, new)
    verified = checkpoint.verify(run / "checkpoints" / "000010", origin_of(run))
    assert verified.iteration == 10


@pytest.mark.slow
def test_a_resume_changes_the_settings_it_is_given_and_adds_none(tmp_path: Path) -> None:
    text = dump(SETTINGS)
    older = text.replace("pause_s: 0.0\n", "")  # of a version of the kind without that setting
    assert older != text
    with RunDir.create(tmp_path, "run", older) as made:
        made.started()
    train(tmp_path / "run", SETTINGS)
    output = lab("resume", tmp_path / "run", "budget=160.0", "tracking.tags=[b]")
    assert "continuing from iteration 10" in output
    was, now = yaml_values.parse(older), yaml_values.parse((tmp_path / "run" / "config.yaml").read_text())
    assert now == was | {"budget": 160, "tracking": was["tracking"] | {"tags": ["b"]}}
    assert type(now["budget"]) is int and RunDir.open(tmp_path / "run").finished


def test_options_that_are_added_and_removed_are_noticed() -> None:
    was = frozen({"game": {"name": "go", "options": {}}, "rate": 0.1, "stages": [{"a": 1}]})
    for settings, difference in [
        ({"game": {"name": "go", "options": {"size": 5}}, "rate": 0.1, "stages": [{"a": 1}]}, "game.options"),
        ({"game": {"name": "go"}, "rate": 0.1, "stages": [{"a": 1}]}, "game.options"),
        ({"game": {"name": "go", "options": {}}, "rate": 1, "stages": [{"a": 1}]}, "rate=1"),
        ({"game": {"name": "go", "options": {}}, "rate": 0.1, "stages": [{"a": 2}]}, "stages"),
        ({"game": {"name": "go", "options": {}}, "rate": True, "stages": [{"a": 1}]}, "rate=True"),
    ]:
        with pytest.raises(CheckpointError, match=difference):
            check(Origin("id", frozen(settings)), run="id", settings=was, same_version=True)


def test_a_setting_that_another_version_added_is_passed_over() -> None:
    own = Origin("id", frozen({"a": 1, "new": 2}))
    check(own, run="id", settings={"a": 1}, same_version=False)
    with pytest.raises(CheckpointError, match=r"new not set, but config\.yaml now says new=2"):
        check(own, run="id", settings={"a": 1}, same_version=True)


def test_numbers_that_json_lacks_are_settings_too(tmp_path: Path) -> None:
    with RunDir.create(tmp_path, "run", "kind: toy\nrate: .inf\nother: .nan\n") as made:
        made.started()
    path = checkpoint.save(made.checkpoints, {}, iteration=1, counters={}, origin=made.origin)
    checkpoint.verify(path, made.origin)


# Restarts


def _delete(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def _empty(run: Path) -> None:
    _delete(run)
    (run / "checkpoints").mkdir()


def _unmount(run: Path) -> None:
    _delete(run)
    (run / "checkpoints").symlink_to("/mnt/unmounted/checkpoints")


def _unmount_elsewhere(run: Path) -> None:
    _delete(run)
    disk = run.parent / "disk"
    disk.mkdir()
    (run / "checkpoints").symlink_to(disk)


def _without_metrics(run: Path) -> None:
    _empty(run)
    (run / "metrics.jsonl").unlink()


def _without_record(run: Path) -> None:
    _empty(run)
    (run / "run.json").unlink()


def _without_anything(run: Path) -> None:
    _without_metrics(run)
    (run / "run.json").unlink()


LOSSES = [_delete, _empty, _unmount, _unmount_elsewhere, _without_metrics, _without_record, _without_anything]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_run_whose_checkpoints_are_gone_is_not_begun_again(run: Path, lose: Callable[[Path], None]) -> None:
    lose(run)
    file = run / "metrics.jsonl"
    before = file.read_bytes() if file.exists() else None
    with pytest.raises(UserError, match=r"checkpoints.*(never restarted by itself|is the disk mounted)") as error:
        train(run, LONGER)
    assert "\n" not in str(error.value)
    assert (file.read_bytes() if file.exists() else None) == before


def test_verbs_say_that_the_checkpoints_are_gone(run: Path) -> None:
    _empty(run)
    with pytest.raises(UserError, match="its checkpoints are gone"):
        checkpoint.choose(run, "best", pytest.fail)


@pytest.mark.parametrize("which", ["9" * 5000, "../../x", "", "0", "-4", "4.0", "best/../best"])
def test_a_checkpoint_that_no_run_has_is_named_briefly(run: Path, which: str) -> None:
    with pytest.raises(UserError, match=r"has no checkpoint .*; give best, latest or an iteration of: 10, 5") as error:
        checkpoint.choose(run, which, pytest.fail)
    assert len(str(error.value)) < 500


def test_only_the_best_is_left(run: Path) -> None:
    for path in checkpoint.numbered(run / "checkpoints"):
        shutil.rmtree(path)
    with pytest.raises(UserError, match=r"its checkpoints are gone.*--checkpoint best"):
        train(run, LONGER)


def test_a_run_killed_before_its_first_checkpoint_starts_from_scratch(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RunDir.create(tmp_path, "run", dump(LONGER)) as made:
        made.started()
    with metrics.MetricsLog(run / "metrics.jsonl") as log:
        log.append(1, {"samples": 8}, {"toy/loss": 1.0}, 0.1)
    _, output = train(run, LONGER)
    assert "stopped before its first checkpoint: it starts from scratch" in output
    train(tmp_path / "straight", LONGER)
    assert_same_run(tmp_path / "straight", run)


def test_a_kill_between_the_first_checkpoint_and_its_mark_goes_on(run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["has_checkpoints"]
    fresh = RunDir.create(tmp_path, "fresh", dump(SETTINGS))
    fresh.started()
    fresh.close()
    shutil.copytree(run / "checkpoints", fresh.path / "checkpoints", dirs_exist_ok=True)
    origin._write(fresh.path, origin.Record(record["id"]))
    assert not fresh.has_checkpoints
    _, output = train(fresh.path, LONGER)
    assert "continuing from iteration 10" in output and fresh.has_checkpoints


# The record of the run


@pytest.mark.parametrize("text", [None, "", "{", "null", "[]", '{"id": 1}', '{"id": "0", "has_checkpoints": true}'])
def test_a_lost_record_comes_back_from_the_checkpoints(run: Path, tmp_path: Path, text: str | None) -> None:
    was = read_record(run)
    (run / "run.json").unlink()
    if text is not None:
        (run / "run.json").write_text(text)
    _, output = train(run, LONGER)
    assert "run.json was missing or damaged: written again" in output
    assert read_record(run) == was


def test_every_flipped_bit_of_the_record_is_noticed(run: Path) -> None:
    file = run / "run.json"
    sound, was = file.read_bytes(), read_record(run)
    for bit in range(len(sound) * 8):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        assert read_record(run) in (None, was)


def test_a_record_that_was_exchanged_is_refused(run: Path, tmp_path: Path) -> None:
    shutil.copy2(other(tmp_path, budget=8) / "run.json", run / "run.json")
    with pytest.raises(UserError, match="belongs to another run"):
        train(run, LONGER)


def test_without_a_record_checkpoints_of_two_runs_are_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(other(tmp_path, budget=240) / "checkpoints" / "000030", run / "checkpoints" / "000030")
    (run / "run.json").unlink()
    with pytest.raises(UserError, match="checkpoints are of several runs"):
        train(run, LONGER)


# Files in the place of others

FILES = ["metrics.jsonl", "log.txt", "run.json", ".lock"]
FOLDERS = ["checkpoints", "samples", "games", "wandb", "replay", "debug"]


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


OTHERS = ["loop", "outside", "pipe", "dangling"]
WRONG = [(name, how) for name in FILES for how in ("folder", *OTHERS)] + [
    (name, how) for name in FOLDERS for how in ("file", *OTHERS)
]


@pytest.mark.parametrize(("name", "how"), WRONG)
def test_what_is_in_the_place_of_a_file_or_folder_is_one_line(run: Path, name: str, how: str) -> None:
    victim = run.parent / "victim"
    victim.write_text("years of work")
    path = run / name
    _remove(path)
    if how == "folder":
        path.mkdir()
    elif how == "file":
        path.touch()
    elif how == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"loop": path, "outside": victim, "dangling": run.parent / "nowhere"}[how])
    with pytest.raises(UserError, match=path.name.replace(".", r"\.")) as error:
        train(run, LONGER)
    assert "\n" not in str(error.value)
    assert victim.read_text() == "years of work" and not (run.parent / "nowhere").exists()
