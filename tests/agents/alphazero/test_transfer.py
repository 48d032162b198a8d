"""Weights of a run start another, also for a board of another size if the heads fit every size."""

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.agent import load_network, make_network
from agents.alphazero.experiment import build
from agents.alphazero.transfer import on_board
from lab.cli.main import main
from lab.errors import UserError
from tests.agents.small_alphazero import DEVICE, config, preset

SIZE_FREE = {"heads": "convolutional", "head_channels": 4}


def game(rows: int, columns: int) -> dict[str, Any]:
    return {"name": "connect_four", "options": {"rows": rows, "columns": columns}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on 4x5 cells: `linear` with heads for this size, `free` with heads for every size."""
    folder = tmp_path_factory.mktemp("runs")
    for name, network in (("linear", {}), ("free", SIZE_FREE)):
        settings = preset(folder, budget=50, game=game(4, 5), network=network)
        assert main(["train", str(settings), "--runs-dir", str(folder), "--name", name]) == 0
    return folder


def started(runs: Path, run: str, **changes: Any) -> dict[str, torch.Tensor]:
    settings = config(start={"run": run, "checkpoint": "latest"}, **changes)
    torch.manual_seed(6)
    return dict(build(settings, runs / "new", DEVICE).learner.net.state_dict())


def test_training_starts_from_the_weights_of_a_smaller_board(runs: Path) -> None:
    expected = load_network(runs / "free", "latest").net.state_dict()
    found = started(runs, "free", game=game(6, 7), network=SIZE_FREE)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def go(size: int) -> dict[str, Any]:
    return {"name": "go", "options": {"size": size, "komi": 0.5, "positions": 1, "max_plies": 12}}


def test_weights_of_go_move_to_a_larger_board_with_heads_for_every_size(tmp_path: Path) -> None:
    settings = preset(tmp_path, budget=30, game=go(3), network=SIZE_FREE)
    assert main(["train", str(settings), "--runs-dir", str(tmp_path), "--name", "small"]) == 0
    expected = load_network(tmp_path / "small", "latest").net.state_dict()
    found = started(tmp_path, "small", game=go(5), network=SIZE_FREE)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert load_network(tmp_path / "small", "latest").net.num_actions == 10


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            {},
            r"linear does not fit this one: policy.weight is \[5, 40\] there and \[7, 84\] here; .*heads=convolutional",
        ),
        (SIZE_FREE, r"policy.cells.conv.weight is absent there"),
        ({"channels": 4}, r"tower.stem.conv.weight is \[8, 2, 3, 3\] there and \[4, 2, 3, 3\] here"),
    ],
)
def test_weights_that_do_not_fit_are_refused(runs: Path, network: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        started(runs, "linear", game=game(6, 7), network=network)


def test_a_run_that_is_not_there_is_named(runs: Path) -> None:
    with pytest.raises(UserError, match=r"start.run: no run 'first'"):
        started(runs, "first")


def test_a_network_plays_on_a_board_of_another_size(runs: Path) -> None:
    trained = load_network(runs / "free", "latest")
    other = on_board(trained, rows=6, columns=9)
    assert other.config.game.options == {"rows": 6, "columns": 9}
    seen = torch.rand(2, 2, 6, 9)
    assert other.net.eval()(seen)[0].shape == (2, 9)
    assert torch.equal(other.net(seen)[1], trained.net.eval()(seen)[1])
    with pytest.raises(UserError, match="no option 'row'"):
        on_board(trained, row=6)


def test_linear_heads_play_on_their_own_board_only(runs: Path) -> None:
    with pytest.raises(UserError, match=r"policy.weight is \[5, 40\] there and \[9, 108\] here"):
        on_board(load_network(runs / "linear", "latest"), rows=6, columns=9)


def test_convolutional_heads_need_a_place_of_each_action(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_network(config(network=SIZE_FREE), config().game.make()).heads == "convolutional"
    monkeypatch.setattr("agents.games.line_game.ActionLayout", lambda planes, columns: None)
    with pytest.raises(ValueError, match=r"the actions of tic_tac_toe have no place on its board.*heads=linear"):
        config(network=SIZE_FREE)
