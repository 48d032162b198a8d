"""Mistakes and damage: one clear line on standard error, exit code 2, and nothing lost."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.run import checkpoint
from tests.agents.small_alphazero import preset
from tests.command_line import ROOT

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert main(["train", str(preset(folder, budget=150)), "--runs-dir", str(folder), "--name", "small"]) == 0
    return folder / "small"


@pytest.fixture
def run(_finished: Path, tmp_path: Path) -> Path:
    """A finished run; every test has a copy of its own."""
    return Path(shutil.copytree(_finished, tmp_path / "small"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a run with a larger network."""
    folder = tmp_path_factory.mktemp("other")
    settings = preset(folder, budget=60, network={"channels": 12})
    assert main(["train", str(settings), "--runs-dir", str(folder), "--name", "other"]) == 0
    return checkpoint.numbered(folder / "other" / "checkpoints")[0]


def mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a mistake is answered with."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    lines = error.splitlines()
    assert lines[-1].startswith("lab: ") and "Traceback" not in error
    assert sum(line.startswith("lab: ") for line in lines) == 1
    return error


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


# Settings


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "alphazero/connectfour"], "did you mean 'alphazero/connect_four'"),
        (["train", "{folder}/none.yaml"], "none.yaml"),
        (["train", "{preset}", "search.simulatons=8"], "did you mean 'search.simulations'"),
        (["train", "{preset}", "search.simulations=many"], "search.simulations"),
        (["train", "{preset}", "game.name=chequers"], "unknown game 'chequers'"),
        (["train", "{preset}", "game.options.rows=2", "game.options.columns=2"], "length 3"),
        (["train", "{preset}", "selfplay.opening_plies=9"], "opening_plies"),
        (["train", "{preset}", "evaluate.best=eval/best_clas"], "evaluate.best=eval/best_clas"),
        (["train", "{preset}", "cluster.address=here:6379"], "cluster.workers"),
        (["resume", "smal"], "no run 'smal'"),
        (["eval", "smal"], "no run 'smal'"),
        (["play", "smal"], "no run 'smal'"),
        (["arena", "smal"], "no run 'smal'"),
    ],
)
def test_a_wrong_word_is_named_and_nothing_is_created(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(folder=tmp_path, preset=preset(tmp_path)) for word in arguments]
    before = contents(tmp_path)
    assert expected in mistake(capsys, *words, "--runs-dir", tmp_path)
    assert contents(tmp_path) == before


def test_an_existing_name_is_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    text = mistake(capsys, "train", preset(run.parent), "--name", "small", "--runs-dir", run.parent)
    assert "--resume" in text and "--overwrite" in text
    assert contents(run) == before


def test_a_run_cannot_become_another_experiment(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    assert "learner.replay_ratio" in mistake(capsys, "resume", run, "learner.replay_ratio=9")
    assert contents(run) == before


# Checkpoints


def newest(run: Path) -> Path:
    return checkpoint.numbered(run / "checkpoints")[0]


def half_written(path: Path) -> None:
    (path / MANIFEST).unlink()


def truncated(path: Path) -> None:
    file = path / TENSORS
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def flipped(path: Path) -> None:
    file = path / TENSORS
    data = bytearray(file.read_bytes())
    data[-10] ^= 4
    file.write_bytes(data)


def not_ours(path: Path) -> None:
    (path / MANIFEST).write_text(json.dumps({"format": "another"}))


def garbage(path: Path) -> None:
    (path / MANIFEST).write_bytes(b"\x00\xff")


DAMAGES: list[Callable[[Path], None]] = [half_written, truncated, flipped, not_ours, garbage]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_that_is_asked_for_is_named(
    run: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(newest(run))
    number = str(int(newest(run).name))
    before = contents(run)
    for words in (["eval", run, "--checkpoint", number], ["play", run, "--checkpoint", number], ["arena", newest(run)]):
        assert newest(run).name in mistake(capsys, *words)
    assert contents(run) == before


@pytest.mark.parametrize("verb", ["eval", "play", "arena", "resume"])
def test_when_every_checkpoint_is_damaged_no_verb_begins_again(
    run: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in checkpoint.numbered(run / "checkpoints"):
        truncated(path)
    before = contents(run / "checkpoints")
    words = [verb, str(run)] + (["budget=900"] if verb == "resume" else [])
    assert "none of its checkpoints is valid" in mistake(capsys, *words)
    assert contents(run / "checkpoints") == before


def test_the_newest_whole_checkpoint_plays_when_the_newest_is_damaged(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncated(newest(run))
    capsys.readouterr()
    assert main(["eval", str(run), "--simulations", "0", "--json"]) == 0
    graded = json.loads(capsys.readouterr().out)
    assert graded["positions"] > 4000 and 0 < graded["optimal_outcome"]["overall"] <= 1


def test_a_checkpoint_of_another_run_is_refused_by_all_who_would_play_with_it(
    run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = Path(shutil.copytree(other, run / "checkpoints" / "000900"))
    for words in (["eval", run, "--checkpoint", "900"], ["play", run, "--checkpoint", "900"], ["arena", foreign]):
        text = mistake(capsys, *words)
        assert "000900" in text and "belongs to another run" in text


def test_a_foreign_newest_checkpoint_is_skipped_and_the_run_goes_on(
    run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = newest(run)
    shutil.copytree(other, run / "checkpoints" / "000900")
    capsys.readouterr()
    assert main(["resume", str(run), "budget=200"]) == 0
    output = capsys.readouterr().out
    assert "skipped checkpoint" in output and "belongs to another run" in output
    assert f"continuing from iteration {int(before.name)} " in output
    assert newest(run).name < "000900"


def test_a_checkpoint_that_does_not_exist_is_answered_with_those_that_do(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for which in ("77777", "newest", "-1", "best/../best"):
        assert str(int(newest(run).name)) in mistake(capsys, "eval", run, f"--checkpoint={which}")


def test_a_run_whose_checkpoints_are_gone_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "checkpoints")
    for verb in ("eval", "play", "arena"):
        assert "its checkpoints are gone" in mistake(capsys, verb, run)


@pytest.mark.parametrize(
    "text", ["", "kind: alphazero\nbudget: 9\n", "kind: [1", "\x00", "kind: alphazero\nschema_version: 99\n"]
)
def test_a_damaged_configuration_is_named(run: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "config.yaml").write_text(text)
    for verb in ("eval", "play", "arena", "resume"):
        assert "config.yaml" in mistake(capsys, verb, run)


# A full disk


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_continues_once_there_is_room(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit on the size of files stands for the full disk: it needs no privileges."""
    code = (
        "import resource, sys; from lab.cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    kept = contents(run / "checkpoints")
    command = [sys.executable, "-c", code, "resume", str(run), "budget=250"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("lab: cannot write") and done.stderr.count("\n") == 1
    assert "the limit of the file size (ulimit -f) is reached: raise it, then `lab resume`" in done.stderr
    assert contents(run / "checkpoints") == kept  # no half file, and nothing gone
    assert not list(run.rglob("*.tmp"))
    capsys.readouterr()
    assert main(["resume", str(run)]) == 0
    assert checkpoint.read_manifest(newest(run)).counters["positions"] >= 250
