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


def test_a_forward_pass_by_hand_equals_the_network_and_exclusive_or(capsys: pytest.CaptureFixture[str]) -> None:
    by_hand = example("forward_pass")
    inputs = torch.tensor([given for given, _ in by_hand.EXAMPLES], dtype=torch.float32)
    wanted = [a ^ b for (a, b), _ in by_hand.EXAMPLES]
    assert [by_hand.forward(by_hand.XOR, given)[-1][0] for given, _ in by_hand.EXAMPLES] == wanted
    assert by_hand.as_mlp(by_hand.XOR)(inputs)[:, 0].tolist() == wanted
    turned = by_hand.turned(by_hand.XOR, -1.5)  # wrong by 0.5 where both inputs are 1
    assert by_hand.cost(by_hand.XOR) == 0
    assert by_hand.cost(turned) == pytest.approx(0.5**2 / 4)
    by_hand.main()
    assert "cost 0.0625" in capsys.readouterr().out


@pytest.mark.parametrize("knob", [None, 3 * 64 + 20, 1_209])  # the steepest, a weight of a pixel, the last bias
def test_the_slope_of_backpropagation_is_the_tangent(knob: int | None, tmp_path: Path) -> None:
    settings = {"steps": 12, "learning_rate": 0.5, "rate": 1.0, "seed": 0}
    program = example("mixing_console")
    found = program.show(knob=knob, out=tmp_path / "a.png", **settings)
    assert found.slope == pytest.approx(found.slope_by_turning, rel=1e-6, abs=1e-9)
    assert found.stepped_cost < found.cost
    assert (tmp_path / "a.png").is_file()
    middle = len(found.settings) // 2
    assert found.costs[middle] == pytest.approx(found.cost)
    # What the tangent misses is of second order: a quarter at half the distance.
    misses = [found.costs[middle + k] - found.tangent(found.settings[middle + k]) for k in (2, 1)]
    assert misses[0] / misses[1] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [({"knob": 1_210}, "1,210 knobs"), ({"knob": -1}, "1,210 knobs"), ({"steps": -3}, "--steps -3")],
)
def test_a_knob_or_a_number_of_steps_that_cannot_be_is_refused(
    mistake: dict[str, int], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"steps": 5, "learning_rate": 0.5, "knob": None, "rate": 1.0, "out": None, "seed": 0}
    with pytest.raises(SystemExit, match=message):
        example("mixing_console").show(**settings | mistake)
    assert capsys.readouterr().out == ""  # before any training


def test_a_convolution_by_hand_is_that_of_the_book_and_of_the_layer(capsys: pytest.CaptureFixture[str]) -> None:
    by_hand = example("convolution")
    assert by_hand.convolve(by_hand.IMAGE, by_hand.KERNEL) == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    image = torch.tensor(by_hand.IMAGE, dtype=torch.float32)[None, None]
    for kernel in (by_hand.KERNEL, by_hand.DIAGONAL, by_hand.EDGE):
        assert by_hand.by_the_lab(image, kernel)[0, 0].tolist() == by_hand.convolve(by_hand.IMAGE, kernel)
    diagonal = by_hand.convolve(by_hand.IMAGE, by_hand.DIAGONAL)
    pooled = torch.nn.functional.max_pool2d(torch.tensor(diagonal, dtype=torch.float32)[None], 2)[0]
    assert by_hand.pool(diagonal, 2) == pooled.tolist()
    by_hand.main()
    assert "1 1 1 0 0    1 0 1    4 3 4" in capsys.readouterr().out


def test_pooling_makes_a_feature_map_change_less_when_its_image_moves() -> None:
    unpooled, pooled_2, pooled_4 = example("convolution").moved()
    assert pooled_4 < pooled_2 < unpooled


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_alphazero_learns_tic_tac_toe() -> None:
    from agents import games

    torch.set_num_threads(1)
    settings = {"iterations": 30, "boards": 128, "simulations": 16, "reuse": 4, "window": 20, "seed": 0}
    assert example("alphazero").train(games.make("tic_tac_toe"), **settings) > 0.97
