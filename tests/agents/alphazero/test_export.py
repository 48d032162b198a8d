"""An exported network answers as the agent's search asks it, without the lab."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from agents.alphazero import export as exporting
from agents.alphazero.agent import TrainedNetwork, load_agent, make_agent, make_network
from agents.games import registry
from agents.games.game import Game
from agents.games.line_game import LineGame
from agents.games.moves import state_after
from lab.cli.main import main
from lab.nets.export import METADATA_FILE
from lab.train.device import Device
from tests.agents.small_alphazero import DEVICE, config, preset

Use = Callable[..., TrainedNetwork]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Every run has a new network of the given configuration."""

    def given(**changes: Any) -> TrainedNetwork:
        torch.manual_seed(0)
        settings = config(**changes)
        net = make_network(settings, settings.game.make()).eval()
        for module in net.modules():  # a new BatchNorm is the identity
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                torch.nn.init.normal_(module.running_mean)
                torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
        trained = TrainedNetwork("run:7", settings, net)
        monkeypatch.setattr(exporting, "load_network", lambda run, which: trained)
        return trained

    return given


def positions(game: Game, plies: int) -> Any:
    """Several boards after a few moves."""
    state = game.initial(6, torch.device("cpu"))
    for ply in range(plies):
        legal = game.legal(state)
        state = game.step(state, (legal * torch.arange(1, game.num_actions + 1).roll(ply)).argmax(1))
    return state


def onnx_answers(path: Path, observation: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == ["observation"]
    assert [node.name for node in session.get_outputs()] == ["policy_logits", "value"]
    assert session.get_inputs()[0].shape[0] == "batch"
    return [np.asarray(value) for value in session.run(None, {"observation": observation.numpy()})]


def compare(trained: TrainedNetwork, out: Path) -> None:
    """The file's answers against those that the agent's search would get."""
    rules = trained.config.game.make()
    observation = rules.observe(positions(rules, 3))
    logits, value = make_agent("run", trained.config, trained.net, DEVICE).evaluate(observation)
    found = onnx_answers(out, observation)
    np.testing.assert_allclose(found[0], logits, atol=1e-4)
    np.testing.assert_allclose(found[1], value, atol=1e-4)
    assert found[1].shape == (6,) and np.abs(found[1]).max() <= 1
    np.testing.assert_allclose(onnx_answers(out, observation[:1])[0], logits[:1], atol=1e-4)


@pytest.mark.slow
def test_the_file_gives_policy_and_value_and_names_the_game_and_no_path_of_this_machine(
    tmp_path: Path, use: Use
) -> None:
    trained = use(game={"name": "connect_four", "options": {"columns": 5}}, search={"average_symmetries": True})
    out = tmp_path / "net.onnx"
    assert exporting.export(tmp_path, "best", out) < 1e-4
    compare(trained, out)
    check_metadata({entry.key: entry.value for entry in onnx.load(str(out)).metadata_props})
    assert str(Path(__file__).parents[3]).encode() not in out.read_bytes()


def check_metadata(metadata: dict[str, str]) -> None:
    assert metadata["game"] == "connect_four" and json.loads(metadata["actions"]) == list("12345")
    assert json.loads(metadata["game_options"])["columns"] == 5 and metadata["run"] == "run:7"


@pytest.mark.slow
@pytest.mark.parametrize("game", [{"name": "connect_four"}, {"name": "tic_tac_toe"}], ids=["columns", "cells"])
def test_heads_for_every_size_give_the_policy_and_value_that_the_agent_uses(
    tmp_path: Path, use: Use, game: dict[str, Any]
) -> None:
    heads = {"heads": "convolutional", "head_channels": 6, "channels": 8, "blocks": 1}
    trained = use(game=game, network=heads)
    out = tmp_path / "net.onnx"
    assert exporting.export(tmp_path, "best", out) < 1e-4
    compare(trained, out)


@pytest.mark.slow
@pytest.mark.parametrize("trunk", ["residual", "recurrent"])
@pytest.mark.parametrize("average", [False, True])
def test_every_trunk_gives_the_policy_and_value_that_the_agent_uses(
    tmp_path: Path, use: Use, trunk: str, average: bool
) -> None:
    trained = use(network={"trunk": trunk, "channels": 8, "blocks": 1}, search={"average_symmetries": average})
    assert exporting.export(tmp_path, "best", tmp_path / "net.onnx") < 1e-4
    compare(trained, tmp_path / "net.onnx")


@pytest.mark.slow
def test_the_torch_format_has_the_same_metadata(tmp_path: Path, use: Use) -> None:
    use(game={"name": "connect_four", "options": {"columns": 5}})
    out, stored = tmp_path / "net.pt2", {METADATA_FILE: ""}
    assert exporting.export(tmp_path, "best", out) < 1e-4
    torch.export.load(str(out), extra_files=stored)
    check_metadata(json.loads(stored[METADATA_FILE]))
    assert str(Path(__file__).parents[3]).encode() not in out.read_bytes()


@pytest.mark.slow
def test_any_registered_game_is_exported(tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    def five(rows: int = 4) -> LineGame:
        return LineGame("five", rows, 5, 3, gravity=False)

    monkeypatch.setitem(registry.GAMES, "five", five)
    use(game={"name": "five"})
    assert exporting.export(tmp_path, "best", tmp_path / "net.onnx") < 1e-4


@pytest.mark.slow
def test_a_trained_run_is_exported_and_predicts_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["--runs-dir", str(tmp_path)]
    assert main(["train", str(preset(tmp_path, budget=60)), "--name", "small", *runs]) == 0
    out = tmp_path / "net.onnx"
    assert main(["export", "small", "--out", str(out), *runs]) == 0
    capsys.readouterr()
    agent = load_agent(tmp_path / "small", Device(torch.device("cpu"), "fp32", 1))
    state = positions(agent.game, 3)
    observation = agent.game.observe(state)
    np.testing.assert_allclose(onnx_answers(out, observation)[1], agent.evaluate(observation)[1], atol=1e-4)
    assert main(["predict", "small", "51", "--simulations", "0", "--json", *runs]) == 0
    record = json.loads(capsys.readouterr().out)
    logits, value = agent.evaluate(agent.game.observe(state_after(agent.game, "51", agent.device)))
    policy = torch.softmax(logits[0][[1, 2, 3, 5, 6, 7, 8]], 0)
    assert record["value"] == pytest.approx(float(value[0]), abs=1e-6)
    assert [record["policy"][move] for move in "2346789"] == pytest.approx(policy.tolist(), abs=1e-6)
    assert main(["export", "small", "--out", str(out), *runs]) == 2 and "--overwrite" in capsys.readouterr().err
