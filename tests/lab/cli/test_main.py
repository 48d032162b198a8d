"""The `lab` command: verbs, runs by name, exit codes, one line per mistake."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lab import __version__
from lab.cli.main import main
from lab.config.registry import KINDS, VERBS, Kind, find_kind, load, register_kind
from lab.run.metrics import read
from tests.lab import counting_kind

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "numpy", "wandb", "pydantic", "gymnasium", "pettingzoo", "safetensors", "agents"}


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "counting", counting_kind.KIND)


@pytest.fixture
def preset(tmp_path: Path) -> str:
    path = tmp_path / "tally.yaml"
    path.write_text("kind: counting\nbudget: 12\ncheckpoint: {every: 2}\n")
    return str(path)


@pytest.fixture
def runs() -> Path:
    return Path(os.environ["LAB_RUNS"])


def steps(run: Path) -> int:
    return read(run / "metrics.jsonl")[-1].counters["steps"]


def stop_early(preset: str, name: str, runs: Path) -> None:
    """A run stopped at half its budget."""
    assert main(["train", preset, "--name", name, "budget=6"]) == 0
    config = runs / name / "config.yaml"
    config.write_text(config.read_text().replace("budget: 6", "budget: 12"))


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake is answered with."""
    capsys.readouterr()
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lab: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lab.cli.main import main; code = main(['--help']); "
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout
    assert all(verb in done.stdout for verb in VERBS)


def test_help_starts_within_half_a_second() -> None:
    def seconds() -> float:
        # Processor time: the wall clock depends on what else the machine does.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "lab", "--help"], cwd=ROOT, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("verb", ["list", "train", "resume", "show", "doctor"])
def test_each_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"lab {verb}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lab {__version__}\n"


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["show", "x", "--nonsense"], ["bench", "nothing"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m lab list --json | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_training_reaches_the_budget_and_says_what_next(
    preset: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", preset, "stride=2"]) == 0
    run = runs / "tally-001"
    assert steps(run) == 12
    lines = capsys.readouterr().out.splitlines()
    assert str(run) in lines[0]
    assert lines[-3:] == ["next:", f"  lab eval {run}", f"  lab show {run}"]


def test_runs_of_a_preset_are_numbered(preset: str, runs: Path) -> None:
    assert [main(["train", preset]), main(["train", preset])] == [0, 0]
    assert sorted(path.name for path in runs.iterdir()) == ["tally-001", "tally-002"]


def test_the_resolved_configuration_is_stored(preset: str, runs: Path) -> None:
    main(["train", preset, "rate=1e-3", "--name", "a"])
    stored = (runs / "a" / "config.yaml").read_text()
    assert "rate: 0.001" in stored
    assert "schema_version: 1" in stored


def test_an_existing_name_needs_a_decision(preset: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", preset, "--name", "a"])
    text = mistake(capsys, "train", preset, "--name", "a")
    assert "--resume" in text and "--overwrite" in text
    assert steps(runs / "a") == 12


def test_overwrite_starts_the_name_anew(preset: str, runs: Path) -> None:
    main(["train", preset, "--name", "a"])
    assert main(["train", preset, "--name", "a", "--overwrite", "stride=3"]) == 0
    assert read(runs / "a" / "metrics.jsonl")[-1].iteration == 4


@pytest.mark.parametrize("command", ["train", "resume"])
def test_a_stopped_run_is_continued(preset: str, runs: Path, command: str) -> None:
    stop_early(preset, "a", runs)
    arguments = {"train": ["train", preset, "--name", "a", "--resume"], "resume": ["resume", "a"]}[command]
    assert main(arguments) == 0
    assert list(dict.fromkeys(entry.iteration for entry in read(runs / "a" / "metrics.jsonl"))) == list(range(1, 13))


def test_train_resume_starts_a_run_that_does_not_exist(preset: str, runs: Path) -> None:
    assert main(["train", preset, "--name", "a", "--resume"]) == 0
    assert steps(runs / "a") == 12


def test_train_resume_takes_a_larger_budget_again_and_again(preset: str, runs: Path) -> None:
    # The kind's `horizon` is worked out from the first budget, and stays.
    main(["train", preset, "--name", "a"])
    for budget in (16, 20, 20):
        assert main(["train", preset, "--name", "a", "--resume", f"budget={budget}"]) == 0
        assert steps(runs / "a") == budget
    assert main(["train", preset, "--name", "a", "--resume"]) == 0
    assert "horizon: 12" in (runs / "a" / "config.yaml").read_text()


def test_train_resume_refuses_another_setting_that_was_given(
    preset: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", preset, "--name", "a", "stride=2"])
    assert "another stride" in mistake(capsys, "train", preset, "--name", "a", "--resume")
    assert "another horizon" in mistake(capsys, "train", preset, "--name", "a", "--resume", "stride=2", "horizon=3")


def test_a_complete_run_says_so_and_trains_no_more(preset: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", preset, "--name", "a"])
    before = (runs / "a" / "metrics.jsonl").read_bytes()
    capsys.readouterr()
    assert main(["resume", "a"]) == 0
    assert "is complete" in capsys.readouterr().out
    assert (runs / "a" / "metrics.jsonl").read_bytes() == before


def test_a_complete_run_trains_on_with_a_larger_budget(preset: str, runs: Path) -> None:
    main(["train", preset, "--name", "a"])
    assert main(["resume", "a", "budget=20"]) == 0
    assert steps(runs / "a") == 20


def test_continue_latest_continues_the_unfinished_run_else_starts_the_next(preset: str, runs: Path) -> None:
    stop_early(preset, "tally-001", runs)
    assert main(["train", preset, "--continue-latest"]) == 0
    assert steps(runs / "tally-001") == 12
    assert not (runs / "tally-002").exists()
    assert main(["train", preset, "--continue-latest"]) == 0
    assert steps(runs / "tally-002") == 12


def test_resume_with_other_settings_is_refused(preset: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop_early(preset, "a", runs)
    assert "another stride" in mistake(capsys, "train", preset, "--name", "a", "--resume", "stride=2")
    assert "cannot change seed" in mistake(capsys, "resume", "a", "seed=2")
    assert steps(runs / "a") == 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--name", "a", "--resume", "--overwrite"], "contradict"),
        (["--resume"], "need --name"),
        (["--name", "a", "--continue-latest"], "--resume"),
        (["--name", "../a"], "cannot name a run"),
        (["search.simulatons=3"], "did you mean 'search.simulations'"),
        (["device=cuda:99"], "cuda:99"),
        (["device=abacus"], "abacus"),
    ],
)
def test_a_refused_run_leaves_nothing_behind(
    preset: str, runs: Path, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in mistake(capsys, "train", preset, *arguments)
    assert list(runs.iterdir()) == []


def test_an_unknown_run_names_the_nearest(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", preset])
    for verb in ("show", "resume", "eval"):
        assert "did you mean 'tally-001'?" in mistake(capsys, verb, "taly-001")


def test_without_runs_the_message_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "lab train PRESET" in mistake(capsys, "show", "a")


@pytest.mark.parametrize(
    "before", [[], ["--strictness", "7"], ["--runs-dir", "{runs}"], ["--runs-dir={runs}", "--json"]]
)
def test_eval_runs_the_verb_of_the_runs_kind(
    preset: str,
    runs: Path,
    before: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main(["train", preset, "--name", "a"])
    if any("runs-dir" in argument for argument in before):
        monkeypatch.delenv("LAB_RUNS")
    capsys.readouterr()
    assert main(["eval", *(argument.format(runs=runs) for argument in before), "a"]) == 0
    assert json.loads(capsys.readouterr().out)["strictness"] == (7 if "7" in before else 1)


def test_eval_takes_a_path(preset: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", preset, "--name", "a"])
    capsys.readouterr()
    assert main(["eval", str(runs / "a")]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == "a"


def test_a_kind_without_the_verb_says_so(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", preset, "--name", "a"])
    assert "'counting', which has no `lab play`" in mistake(capsys, "play", "a")


def test_a_run_of_a_foreign_kind_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "a").mkdir()
    (runs / "a" / "config.yaml").write_text("kind: alphazeros\n")
    for verb in ("eval", "resume"):
        assert "did you mean 'alphazero'" in mistake(capsys, verb, "a")


def test_list_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"presets"}


def test_a_kind_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="counting"):
        register_kind("counting", KINDS["counting"])


def install_guest(folder: Path, code: str, entry_points: str) -> None:
    """A distribution `guest` of one module, as far as Python's import system looks."""
    (folder / "guest.py").write_text(code)
    info = folder / "guest-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_an_entry_point_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from lab.config.registry import Kind\nKIND = Kind('guest:Config', 'guest:build')\n"
    install_guest(tmp_path, code, "[rivals.kinds]\nguest = guest:KIND\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_kind("guest") == Kind("guest:Config", "guest:build")


def test_an_entry_point_adds_a_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "from lab.config.registry import Verb\nVERB = Verb('Greet.', 'guest:greet')\ndef greet(): print('hello')\n"
    install_guest(tmp_path, code, "[rivals.verbs]\ngreet = guest:VERB\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "guest", raising=False)
    assert main(["greet"]) == 0
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("hello") and "Greet." in shown


def test_every_verb_of_the_lab_itself_loads() -> None:
    targets = [verb.target for verb in VERBS.values() if verb.target.startswith("lab.")]
    assert targets
    assert all(callable(load(target)) for target in targets)


def test_help_of_a_verb_shows_the_options_of_the_runs_kind(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", preset, "--name", "a"])
    for arguments, kind in (["eval", "--help"], "alphazero"), (["eval", "a", "--help"], "counting"):
        capsys.readouterr()
        assert main(arguments) == 0
        assert f"these are for {kind}" in capsys.readouterr().out
