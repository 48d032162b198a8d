"""The capacity model: by hand, at each of its limits, and as CAPACITY.md shows it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.replay import ReplayBuffer
from cluster import capacity
from cluster.capacity import Figures, needs
from lab.cli.main import main
from lab.config.loading import load_preset
from lab.errors import UserError
from tests.command_line import ROOT

BY_HAND: dict[str, Any] = {
    "evaluations_per_s": 1000.0,
    "evaluations_per_position": 10.0,  # 100 positions/s a GPU through the network
    "worker_positions_per_s": 40.0,
    "workers_per_gpu": 2,  # 80 a GPU through tree and rules: they hold self-play up
    "learner_samples_per_s": 960.0,
    "replay_ratio": 2.0,  # 480 positions/s a learning GPU
    "positions_per_version": 240.0,
    "window_positions": 1000,
    "window_s": 10.0,
    "bytes_per_position": 100.0,
    "weight_bytes": 5e6,
    "learner_gpus": 4,
    "gpus_per_node": 4,
    "head_positions_per_s": 1e9,
    "network_bytes_per_s": 1e9,
    "memory_bytes": 1e9,
}


def figures(**changes: Any) -> Figures:
    return Figures.model_validate({**BY_HAND, **changes})


def test_seven_gpus_by_hand() -> None:
    found = needs(figures(), 7)
    # Six play 6 * 80 = 480 positions/s, which is just what the seventh can learn: 960 / 2.
    assert (found.nodes, found.selfplay_gpus, found.learner_gpus, found.learners_wanted) == (2, 6, 1, 1)
    assert found.positions_per_s == 480
    assert found.versions_per_s == 2  # 480 / 240
    assert found.network_in_mb_per_s == pytest.approx(0.024)  # 480 * 100 bytes, half of it from the other node
    assert found.network_out_mb_per_s == pytest.approx(10)  # 2 * 5 MB to one other node
    assert found.replay_gb == pytest.approx(480_000 / 1e9)  # 10 s of 480 are more than the window
    assert found.idle == 0


def test_a_window_longer_than_its_time_decides_the_memory() -> None:
    assert needs(figures(window_positions=1_000_000), 7).replay_gb == pytest.approx(0.1)


def test_on_one_node_nothing_goes_over_the_network() -> None:
    found = needs(figures(), 4)
    assert found.network_in_mb_per_s == found.network_out_mb_per_s == 0


@pytest.mark.parametrize(
    ("changes", "bottleneck", "positions_per_s"),
    [
        ({"learner_samples_per_s": 1e6, "evaluations_per_s": 500.0}, "self-play: the network", 350),
        ({"learner_samples_per_s": 1e6}, "self-play: tree and rules", 560),
        ({"learner_gpus": 1, "learner_samples_per_s": 200.0}, "learner", 100),
        ({"head_positions_per_s": 90.0}, "receiving positions", 90),
        ({"bytes_per_position": 1e7, "memory_bytes": 1e15}, "network into the head node", 200),  # 1e9 / (1e7 / 2)
        ({"weight_bytes": 2.4e9}, "broadcast of weights", 100),  # 1e9 / (2.4e9 / 240)
        ({"memory_bytes": 1e5}, "replay memory", 100),  # 1e5 / (10 s * 100)
        ({"memory_bytes": 1e4}, "replay memory", 0),  # not even the window fits
    ],
)
def test_each_limit_can_be_the_bottleneck(changes: dict[str, Any], bottleneck: str, positions_per_s: float) -> None:
    found = needs(figures(**changes), 8)
    assert found.bottleneck == bottleneck
    assert found.positions_per_s == pytest.approx(positions_per_s)


def test_every_limit_has_its_case_above() -> None:
    (cases,) = test_each_limit_can_be_the_bottleneck.pytestmark
    assert {case[1] for case in cases.args[1]} == set(capacity.limits(figures(), 8, 1))


@pytest.mark.parametrize("gpus", [2, 8, 64])
@pytest.mark.parametrize(
    "figure",
    [
        "evaluations_per_s",
        "worker_positions_per_s",
        "learner_samples_per_s",
        "head_positions_per_s",
        "network_bytes_per_s",
        "memory_bytes",
    ],
)
def test_more_of_anything_never_makes_fewer_positions(figure: str, gpus: int) -> None:
    rates = [
        needs(figures(**{figure: BY_HAND[figure] * factor}), gpus).positions_per_s for factor in (0.01, 0.1, 1, 10)
    ]
    assert rates == sorted(rates)


def test_more_gpus_never_make_fewer_positions_while_weights_get_through() -> None:
    rates = [needs(figures(weight_bytes=1e3), gpus).positions_per_s for gpus in (2, 3, 5, 8, 64, 512)]
    assert rates == sorted(rates)


def test_learners_wanted_keep_up_and_one_less_would_not() -> None:
    for gpus in (8, 64, 512):
        wanted = needs(figures(), gpus).learners_wanted
        assert wanted * 480 >= (gpus - wanted) * 80
        assert (wanted - 1) * 480 < (gpus - wanted + 1) * 80


def test_one_gpu_is_no_cluster() -> None:
    with pytest.raises(UserError, match="at least two"):
        needs(figures(), 1)


@pytest.mark.parametrize("preset", ["alphazero/connect_four", "alphazero/tic_tac_toe"])
def test_sizes_of_a_preset_are_those_of_its_replay_and_network(preset: str, tmp_path: Path) -> None:
    config = load_preset(preset, ["replay.capacity=60000"])
    assert isinstance(config, AlphaZeroConfig)
    game = config.game.make()
    replay = ReplayBuffer(game, config.replay, tmp_path, 1, config.record_format)
    replay.total = 1
    sample = replay.sample(1, seed=0, step=0)
    assert capacity.bytes_per_position(config) == sum(field.numel() * field.element_size() for field in sample)
    tensors = make_network(config, game).state_dict().values()
    assert capacity.weight_bytes(config) == sum(tensor.numpy().nbytes for tensor in tensors)


def test_figures_given_replace_those_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["capacity", "evaluations_per_s=123", "--gpus", "16", "--json"]
    assert main(arguments) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["figures"]["evaluations_per_s"] == 123
    assert [one["gpus"] for one in shown["needs"]] == [16]
    assert shown["needs"][0]["bottleneck"] == "self-play: the network"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluation_per_s=1"], "evaluations_per_s"),
        (["replay_ratio=0"], "replay_ratio"),
        (["supervised/digits"], "AlphaZero"),
    ],
)
def test_a_mistake_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main(["capacity", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_page_shows_what_the_model_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Each block after a line "$ lab capacity ..." is that command's output."""
    page = (ROOT / "cluster" / "CAPACITY.md").read_text()
    shown = re.findall(r"\$ lab (capacity[^\n]*)\n```\n\n(.*?)\n\n<!-- end -->", page, flags=re.DOTALL)
    assert len(shown) >= 2
    for command, text in shown:
        assert main(command.split()) == 0
        assert capsys.readouterr().out.strip() == text.strip()
