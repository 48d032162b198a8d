"""A run's directory is never taken by two runs, and never lost by a mistake."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest

from lab.errors import CheckpointError, UserError
from lab.run import checkpoint
from lab.run.lookup import find_run, locate_run, run_names
from lab.run.run_dir import RunDir

ROOT = Path(__file__).parents[3]
CONFIG = "kind: toy\nbudget: 100\n"


def make(root: Path, name: str, progress: int | None = None, evaluation_due: bool = False) -> RunDir:
    run = RunDir.create(root, name, CONFIG)
    run.started()
    if progress is not None:
        meta = {"progress": "samples", "evaluation_due": evaluation_due}
        counters, origin = {"samples": progress}, run.origin
        checkpoint.save(run.checkpoints, {}, iteration=1, counters=counters, extra_meta=meta, origin=origin)
    run.close()
    return run


def files(path: Path) -> set[str]:
    return {str(entry.relative_to(path)) for entry in path.rglob("*") if entry.is_file()} - {".lock"}


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a..b", "-x", "a b", "a\n"])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a run"):
        RunDir.create(tmp_path, name, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_told_so_and_the_other_signs_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="201 characters, at most 200"):
        RunDir.create(tmp_path, "x" * 201, CONFIG)
    with pytest.raises(UserError, match=r"'\+', '='"):
        RunDir.create(tmp_path, "a b", CONFIG)
    assert list(tmp_path.iterdir()) == []
    RunDir.create(tmp_path, "x" * 200, CONFIG).close()


def test_the_latest_checkpoint_is_advised_only_where_it_can_be_taken(tmp_path: Path) -> None:
    run = make(tmp_path, "run", progress=100)
    (newest,) = checkpoint.numbered(run.checkpoints)
    (checkpoint.keep_as(checkpoint.BEST, newest) / checkpoint.MANIFEST).unlink()
    with pytest.raises(CheckpointError, match="--checkpoint latest takes another"):
        checkpoint.choose(run.path, "best", pytest.fail)
    (newest / checkpoint.MANIFEST).unlink()
    with pytest.raises(CheckpointError) as caught:
        checkpoint.choose(run.path, "best", pytest.fail)
    assert "--checkpoint latest" not in str(caught.value)


def test_a_taken_name_names_both_ways_out(tmp_path: Path) -> None:
    make(tmp_path, "run")
    with pytest.raises(UserError, match=r"--resume.*--overwrite"):
        RunDir.create(tmp_path, "run", CONFIG)


def test_overwrite_replaces_a_run_once_the_new_one_has_started(tmp_path: Path) -> None:
    make(tmp_path, "run", progress=100)
    run = RunDir.create(tmp_path, "run", "kind: other\n", overwrite=True)
    run.started()
    assert files(run.path) == {"config.yaml", "run.json"} and run.read_config() == {"kind": "other"}


def test_overwrite_costs_nothing_when_the_new_run_fails_before_it_starts(tmp_path: Path) -> None:
    old = make(tmp_path, "run", progress=100)
    before = files(old.path)
    with pytest.raises(RuntimeError), RunDir.create(tmp_path, "run", "kind: other\n", overwrite=True):
        raise RuntimeError("the network does not fit into memory")
    assert files(old.path) == before and old.read_config()["kind"] == "toy"


def test_a_replacement_killed_before_it_starts_still_holds_the_old_run(tmp_path: Path) -> None:
    old = make(tmp_path, "run", progress=100)
    before = files(old.path)
    killed = RunDir.create(tmp_path, "run", "kind: killed\n", overwrite=True)
    assert killed._lock is not None
    killed._lock.release()  # what the kernel does for a killed process, and nothing else
    with pytest.raises(RuntimeError), RunDir.create(tmp_path, "run", "kind: other\n", overwrite=True):
        raise RuntimeError
    assert files(old.path) == before and old.read_config()["kind"] == "toy"


def _full(*arguments: Any, **more: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


STEPS = ["mkdir", "write_bytes", "open", "replace"]  # of Path, each of which a creation uses


@pytest.mark.parametrize("allowed", range(12))
@pytest.mark.parametrize("taken", [False, True])
def test_a_full_disk_at_any_step_of_a_creation_leaves_the_old_run_or_a_free_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool, allowed: int
) -> None:
    old = make(tmp_path, "run", progress=100) if taken else None
    before = files(tmp_path) - {"run/.lock"}
    calls = 0

    def limited(real: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            return real(*arguments, **more) if calls <= allowed else _full()

        return call

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(Path, name, limited(getattr(Path, name)))
        try:
            with RunDir.create(tmp_path, "run", "kind: other\n", overwrite=taken):
                raise UserError("the disk was large enough for a creation")
        except UserError as error:
            assert "No space left" in str(error) or "large enough" in str(error)
    assert files(tmp_path) - {"run/.lock"} == before
    if old is not None:
        assert RunDir.open(old.path).read_config()["kind"] == "toy"
        assert locate_run("run", tmp_path) == old.path
    else:
        RunDir.create(tmp_path, "run", CONFIG).close()


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("allowed", range(20))
def test_a_kill_between_any_two_renames_of_a_replacement_keeps_one_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    old = make(tmp_path, "run", progress=100)
    (old.path / "metrics.jsonl").write_text("{}\n")
    before = files(old.path)
    calls, dead, rename = 0, False, Path.rename

    def dying(source: Path, target: Path) -> Path:
        nonlocal calls, dead
        calls += 1
        if dead or calls > allowed:
            dead = True  # a dead process renames nothing any more
            raise _Killed
        return rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        patch.setattr(RunDir, "_undo", lambda self: None)
        started = False
        try:
            with RunDir.create(tmp_path, "run", "kind: new\n", overwrite=True) as run:
                run.started()
                started = True
        except _Killed:
            pass
    assert find_run("run", tmp_path) == old.path and run_names(tmp_path) == ["run"]
    opened = RunDir.open(old.path)
    found = {name for name in files(old.path) if not name.startswith(".discarded")}
    if started:
        assert opened.read_config()["kind"] == "new" and found == {"config.yaml", "run.json"}
    else:
        assert opened.read_config()["kind"] == "toy" and found == before


def test_a_kill_while_the_replaced_run_comes_back_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make(tmp_path, "run", progress=100)
    before = files(old.path)
    for allowed in range(5):
        RunDir.create(tmp_path, "run", "kind: killed\n", overwrite=True)._lock.release()  # type: ignore[union-attr]
        calls, rename = 0, Path.rename

        def dying(source: Path, target: Path, rename: Any = rename, allowed: int = allowed) -> Path:
            nonlocal calls
            calls += 1
            if calls > allowed:
                raise _Killed
            return rename(source, target)

        with monkeypatch.context() as patch, pytest.raises(_Killed):
            patch.setattr(Path, "rename", dying)
            RunDir.open(old.path)
        assert RunDir.open(old.path).read_config()["kind"] == "toy" and files(old.path) == before


@pytest.mark.parametrize("name", [".replaced", ".discarded"])
def test_a_link_in_the_place_of_a_replaced_run_is_not_followed(tmp_path: Path, name: str) -> None:
    make(tmp_path, "victim", progress=5)
    before = files(tmp_path / "victim")
    old = make(tmp_path, "run", progress=100)
    (old.path / name).symlink_to(tmp_path / "victim")
    assert find_run("run", tmp_path) == old.path
    with pytest.raises(RuntimeError), RunDir.create(tmp_path, "run", "kind: other\n", overwrite=True):
        raise RuntimeError
    assert RunDir.open(old.path).read_config()["kind"] == "toy"
    with RunDir.create(tmp_path, "run", "kind: other\n", overwrite=True) as run:
        run.started()
    assert files(tmp_path / "victim") == before


def test_a_replacement_in_progress_is_left_to_the_process_that_does_it(tmp_path: Path) -> None:
    old = make(tmp_path, "run", progress=100)
    before = files(old.path)
    with RunDir.create(tmp_path, "run", "kind: new\n", overwrite=True):
        assert find_run("run", tmp_path) == old.path
        assert (old.path / ".replaced" / "config.yaml").exists()
    assert files(old.path) == before


def test_a_listing_restores_nothing_and_leaves_no_run_out(tmp_path: Path) -> None:
    old = make(tmp_path, "run", progress=100)
    RunDir.create(tmp_path, "run", "kind: killed\n", overwrite=True)._lock.release()  # type: ignore[union-attr]
    before = files(old.path)
    assert run_names(tmp_path) == ["run"]
    old.config_path.unlink()  # as between the move of the old run and the writing of the new one
    assert run_names(tmp_path) == ["run"]
    assert files(old.path) == before - {"config.yaml"}


def test_a_replacement_without_locks_is_touched_by_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    old = make(tmp_path, "run", progress=100)
    with RunDir.create(tmp_path, "run", "kind: new\n", overwrite=True) as run:
        before = files(run.path)
        assert run_names(tmp_path) == ["run"]
        for use in (
            lambda: find_run("run", tmp_path),
            lambda: RunDir.open(old.path),
            lambda: RunDir.create(tmp_path, "run", CONFIG, overwrite=True),
        ):
            with pytest.raises(UserError, match=r"being replaced by --overwrite.*move what is in .*\.replaced back"):
                use()
        assert files(run.path) == before and not run.is_locked
        run.started()
    assert find_run("run", tmp_path) == run.path and RunDir.open(run.path).read_config() == {"kind": "new"}


@pytest.mark.parametrize("made", [(), (".lock",), (".lock", "checkpoints", "games"), ("config.yaml.tmp",)])
def test_a_name_whose_creation_was_killed_is_free(tmp_path: Path, made: tuple[str, ...]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in made:
        (folder / name).touch() if "." in name else (folder / name).mkdir()
    with RunDir.create(tmp_path, "run", CONFIG) as run:
        run.started()
    assert run.read_config()["kind"] == "toy"


def test_overwrite_keeps_its_hands_off_what_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(UserError, match="not a run"):
        RunDir.create(tmp_path, "thesis", CONFIG, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_run_that_never_starts_leaves_its_name_free(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RunDir.create(tmp_path, "run", CONFIG):
        raise RuntimeError
    RunDir.create(tmp_path, "run", CONFIG)


HOLD = (
    "import sys, time; from pathlib import Path; from lab.run.run_dir import RunDir\n"
    "run = RunDir.open(Path(sys.argv[1])); run.lock(); print('locked', flush=True); time.sleep(60)\n"
)


@pytest.mark.slow
def test_one_process_trains_a_run_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    run = make(tmp_path, "run")
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"trained by process {holder.pid}"):
            RunDir.open(run.path).lock()
        with pytest.raises(UserError, match="trained by"):
            RunDir.create(tmp_path, "run", CONFIG, overwrite=True)
        assert files(run.path) == {"config.yaml", "run.json"}
        holder.kill()
        holder.wait(timeout=30)
    RunDir.open(run.path).lock()


def test_numbering_goes_on_from_the_highest(tmp_path: Path) -> None:
    assert RunDir.next_numbered(tmp_path / "none yet", "toy") == "toy-001"
    for name in ("toy-001", "toy-007", "toy-extra", "toyish-020"):
        make(tmp_path, name)
    assert RunDir.next_numbered(tmp_path, "toy") == "toy-008"


def test_the_latest_run_is_continued_only_if_unfinished(tmp_path: Path) -> None:
    assert RunDir.latest_unfinished(tmp_path, "toy") is None
    make(tmp_path, "toy-001", progress=99)
    latest = RunDir.latest_unfinished(tmp_path, "toy")
    assert latest is not None and latest.name == "toy-001"
    make(tmp_path, "toy-002", progress=100)
    assert RunDir.latest_unfinished(tmp_path, "toy") is None


def test_a_run_stopped_before_its_last_evaluation_or_its_first_checkpoint_is_unfinished(
    tmp_path: Path,
) -> None:
    assert not make(tmp_path, "a").finished
    assert not make(tmp_path, "b", progress=100, evaluation_due=True).finished


@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_that_is_too_long_is_no_run(tmp_path: Path, length: int) -> None:
    with pytest.raises(UserError, match="no run 'xxx"):
        find_run("x" * length, tmp_path)


def test_a_run_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    make(tmp_path, "connect-four-001")
    with pytest.raises(UserError, match="connect-four-001"):
        RunDir.open(tmp_path / "conect-four-001")
