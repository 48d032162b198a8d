"""A run's directory is never taken by two runs, and never lost by a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.run import checkpoint
from lab.run.run_dir import RunDir

ROOT = Path(__file__).parents[3]
CONFIG = "kind: toy\nbudget: 100\n"


def make(root: Path, name: str, progress: int | None = None, evaluation_due: bool = False) -> RunDir:
    run = RunDir.create(root, name, CONFIG)
    run.started()
    if progress is not None:
        meta = {"progress": "samples", "evaluation_due": evaluation_due}
        checkpoint.save(run.checkpoints, {}, iteration=1, counters={"samples": progress}, extra_meta=meta)
    run.close()
    return run


def files(path: Path) -> set[str]:
    return {str(entry.relative_to(path)) for entry in path.rglob("*") if entry.is_file()} - {".lock"}


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a..b", "-x", "a b", "a\n", "x" * 300])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a run"):
        RunDir.create(tmp_path, name, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_names_both_ways_out(tmp_path: Path) -> None:
    make(tmp_path, "run")
    with pytest.raises(UserError, match=r"--resume.*--overwrite"):
        RunDir.create(tmp_path, "run", CONFIG)


def test_overwrite_replaces_a_run_once_the_new_one_has_started(tmp_path: Path) -> None:
    make(tmp_path, "run", progress=100)
    run = RunDir.create(tmp_path, "run", "kind: other\n", overwrite=True)
    run.started()
    assert files(run.path) == {"config.yaml"} and run.read_config() == {"kind": "other"}


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


def test_one_process_trains_a_run_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    run = make(tmp_path, "run")
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"trained by process {holder.pid}"):
            RunDir.open(run.path).lock()
        with pytest.raises(UserError, match="trained by"):
            RunDir.create(tmp_path, "run", CONFIG, overwrite=True)
        assert files(run.path) == {"config.yaml"}
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


def test_a_run_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    make(tmp_path, "connect-four-001")
    with pytest.raises(UserError, match="connect-four-001"):
        RunDir.open(tmp_path / "conect-four-001")
