"""The example programs run, and learn."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[2]


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def test_alphazero_runs_for_an_iteration(capsys: pytest.CaptureFixture[str]) -> None:
    from agents import games

    settings = {"iterations": 1, "boards": 16, "simulations": 4, "reuse": 1, "window": 1, "seed": 0}
    rate = example("alphazero").train(games.make("tic_tac_toe"), **settings)
    assert 0.0 < rate <= 1.0
    assert "minimax" in capsys.readouterr().out


@pytest.mark.slow
def test_gan_grows_through_every_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = example("gan").train(images=256, batch_size=16, learning_rate=2e-3, out=tmp_path / "a.png", seed=0)
    assert math.isfinite(found)
    assert (tmp_path / "a.png").is_file()
    assert "16 x 16" in capsys.readouterr().out


def test_ppo_learns_to_balance(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"environment": "CartPole-v1", "steps": 5_000, "count": 8, "learning_rate": 1e-3, "seed": 0}
    assert example("ppo").train(**settings) > 50.0  # a random policy: 22
    assert "mean return" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_alphazero_learns_tic_tac_toe() -> None:
    from agents import games

    torch.set_num_threads(1)
    settings = {"iterations": 30, "boards": 128, "simulations": 16, "reuse": 4, "window": 20, "seed": 0}
    assert example("alphazero").train(games.make("tic_tac_toe"), **settings) > 0.97
