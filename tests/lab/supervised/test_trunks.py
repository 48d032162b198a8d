"""A trunk that another run trained: found by every command, kept or learning on, refused where it does not fit."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cluster.pool.connection import Connection
from lab.cli.main import main
from lab.config.loading import load_run_config
from lab.errors import UserError
from lab.supervised.experiment import Supervised
from lab.supervised.transfer import load_trunk
from lab.train.device import Device
from tests.lab.small_classifier import config, other, written

DEVICE = Device(torch.device("cpu"), "fp32", 1)
FEW = {"held_out": 0.02}


def run(*arguments: object, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs "source", of digits, and "line", a regression."""
    folder = tmp_path_factory.mktemp("runs")
    run("train", written(folder, config(data=FEW, budget=500)), "--runs-dir", folder, "--name", "source")
    line = other(
        data={"source": "wave"}, task={"name": "regression"}, network={"name": "mlp", "hidden": [4]}, budget=50
    )
    run("train", written(folder, line), "--runs-dir", folder, "--name", "line")
    return folder


def test_a_frozen_trunk_stays_and_the_end_learns(tmp_path: Path) -> None:
    classes = [{"data": FEW | {"classes": part}} for part in (["0", "1", "2"], ["3", "4"])]
    run("train", written(tmp_path, config(**classes[0], budget=500)), "--runs-dir", tmp_path, "--name", "source")
    trunk = {"trunk": {"run": "source", "freeze": True}}
    file = written(tmp_path, config(**classes[1], **trunk, budget=500, checkpoint={"every": 1}))
    run("train", file, "--runs-dir", tmp_path, "--name", "frozen")
    source, frozen = load_trunk(tmp_path / "source"), load_trunk(tmp_path / "frozen")
    assert source.keys() == frozen.keys() and all(torch.equal(source[name], frozen[name]) for name in source)
    # Its own checkpoint has all it needs.
    shutil.rmtree(tmp_path / "source")
    run("resume", tmp_path / "frozen", "budget=1000")
    again = load_trunk(tmp_path / "frozen")
    assert all(torch.equal(frozen[name], again[name]) for name in frozen)


def test_a_step_leaves_a_frozen_trunk_s_statistics_alone(runs: Path, tmp_path: Path) -> None:
    settings = config(data=FEW, trunk={"run": str(runs / "source"), "freeze": True})
    experiment, source = Supervised(settings, tmp_path / "new", DEVICE), load_trunk(runs / "source")
    for prepare in (lambda: None, experiment.evaluate, experiment.network.train):
        prepare()
        experiment.step()
        assert experiment.network.hidden.training
        trunk = experiment.network.trunk.state_dict()
        assert all(torch.equal(source[name], trunk[name]) for name in source)


def test_a_trunk_that_goes_on_learning_starts_as_it_was(tmp_path: Path) -> None:
    run("train", written(tmp_path, config(data=FEW, budget=500)), "--runs-dir", tmp_path, "--name", "source")
    settings = config(data=FEW, trunk={"run": str(tmp_path / "source")})
    experiment = Supervised(settings, tmp_path / "new", DEVICE)
    source = load_trunk(tmp_path / "source")
    assert all(torch.equal(source[name], value) for name, value in experiment.network.trunk.state_dict().items())
    experiment.iterate()
    assert not torch.equal(source["block0.conv.weight"], experiment.network.trunk.state_dict()["block0.conv.weight"])


def test_a_trunk_that_does_not_fit_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("train", written(tmp_path, config(data=FEW, budget=500)), "--runs-dir", tmp_path, "--name", "source")
    cases = {
        "network.channels=[4,16]": "block1.conv.weight is [8, 4, 3, 3] there and [16, 4, 3, 3] here",
        "network.channels=[4]": "block1.conv.weight is [8, 4, 3, 3] there and absent here",
    }
    for setting, expected in cases.items():
        capsys.readouterr()
        file = written(tmp_path, config(data=FEW, trunk={"run": "source"}))
        run("train", file, setting, "--runs-dir", tmp_path, "--name", "new", code=2)
        error = capsys.readouterr().err
        assert expected in error and "Traceback" not in error and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("command", "trunk"),
    [
        (["find-lr", "PRESET", "--steps", "20", "--out", "OUT.png"], "source"),
        (["bench", "supervised", "PRESET", "--seconds", "0.05"], "source"),
        (["approximate", "PRESET", "--widths", "4", "--out", "OUT.png"], "line"),
    ],
)
def test_commands_that_leave_no_run_find_a_trunk_by_its_name(
    command: list[str], trunk: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_run_config(runs / trunk / "config.yaml").model_copy(update={"budget": 50})
    words = [word.replace("PRESET", str(written(tmp_path, settings))) for word in command]  # type: ignore[arg-type]
    words = [word.replace("OUT", str(tmp_path / "out")) for word in words]
    run(*words, f"trunk.run={trunk}", "--runs-dir", runs, "--json")
    assert json.loads(capsys.readouterr().out)
    run(*words, "trunk.run=sourse", "--runs-dir", runs, code=2)
    error = capsys.readouterr().err
    assert "trunk.run: no run 'sourse'; did you mean 'source'?" in error and len(error.splitlines()) == 1


def test_a_sweep_gives_its_trials_the_path_of_a_trunk_and_refuses_an_unknown_one(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, list[str]] = {}

    def search(self: Any, commands: dict[str, list[str]], interrupt: Any) -> set[str]:
        asked.update(commands)
        raise UserError("far enough")

    here = Connection("here", nodes=1, cpus=2.0, gpus=0.0, authentication="none", started=True)
    monkeypatch.setattr("cluster.sweeps.sweep.connect", lambda *_: nullcontext(here))
    monkeypatch.setattr("cluster.sweeps.sweep.PlacementGroup", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr("cluster.sweeps.sweep.TuneSearch.run", search)
    preset = written(tmp_path, config(data=FEW, evaluate={"every": 1, "best": "eval/accuracy"}))
    sweep = ["sweep", preset, "augment.crop=choice(1, 2)", "--runs-dir", runs, "--name", "sweep"]
    run(*sweep, "trunk.run=source", code=2)
    assert len(asked) == 2 and all(f'trunk.run="{runs}/source"' in command for command in asked.values())
    monkeypatch.setattr("cluster.sweeps.sweep.connect", lambda *_: pytest.fail("Ray was started"))
    capsys.readouterr()
    run(*sweep, "trunk.run=sourse", code=2)
    assert "trunk.run: no run 'sourse'; did you mean 'source'?" in capsys.readouterr().err
