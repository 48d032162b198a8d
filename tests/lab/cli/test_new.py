"""`lab new`: files that work as they are written, and nothing overwritten."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.config.loading import load_preset

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_new_game_has_rules_test_preset_and_entry_point(tmp_path: Path) -> None:
    assert main(["new", "game", "blocking"]) == 0
    folder = tmp_path / "blocking"
    assert {path.name for path in folder.iterdir()} == {
        "blocking.py",
        "blocking.yaml",
        "pyproject.toml",
        "test_blocking.py",
    }
    assert (
        '[project.entry-points."rivals.games"]\nblocking = "blocking:Blocking"'
        in (folder / "pyproject.toml").read_text()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("template", "tests"), [pytest.param("placement", 2, marks=pytest.mark.slow), ("movement", 3)])
def test_the_tests_of_a_new_game_pass(template: str, tests: int, tmp_path: Path) -> None:
    main(["new", "game", "passing", "--template", template])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "passing"), str(ROOT)])}
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "passing"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("template", ["placement", "movement"])
def test_the_rules_of_a_new_game_can_be_solved(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.arena.minimax import solve

    name = f"solvable_{template}"
    main(["new", "game", name, "--out", "there", "--template", template])
    monkeypatch.syspath_prepend(tmp_path / "there")
    game = getattr(importlib.import_module(name), f"Solvable{template.capitalize()}")()
    assert len(solve(game).score) > 1000


def test_an_unknown_template_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "game", "mine", "--template", "cards"]) == 2
    error = capsys.readouterr().err
    assert "cards" in error and "movement" in error and not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.yaml").write_text("precious")
    assert main(["new", "game", "mine"]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["mine.yaml"]
    assert main(["new", "preset", "own"]) == 0
    assert main(["new", "preset", "own"]) == 2


@pytest.mark.parametrize("name", ["Go", "9x9", "class", "a-b", "../a"])
def test_a_name_that_cannot_be_a_module_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "game", name]) == 2
    assert "cannot name a game" in capsys.readouterr().err


@pytest.mark.parametrize("base", ["alphazero/connect_four", "supervised/cifar10"])
def test_a_new_preset_is_its_base_until_edited(base: str, tmp_path: Path) -> None:
    assert main(["new", "preset", "own", "--base", base]) == 0
    path = tmp_path / "own.yaml"
    fresh = load_preset(str(path))
    assert fresh.model_copy(update={"description": ""}) == load_preset(base).model_copy(update={"description": ""})
    path.write_text(path.read_text().replace("# budget: ", "budget: 1"))
    assert load_preset(str(path)).budget != fresh.budget
