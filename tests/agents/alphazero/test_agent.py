"""A trained agent: the averaged network of the checkpoint asked for, deciding without noise."""

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.agent import Agent, load_agent, make_agent, make_network
from agents.arena.players import AgentPlayer
from agents.games import make, select
from agents.games.testing import random_playout
from lab.cli.main import main
from lab.config.loading import dump
from lab.config.registry import KINDS
from lab.errors import UserError
from lab.run import checkpoint
from lab.run.run_dir import RunDir
from tests.agents.small_alphazero import CPU, DEVICE, config, preset
from tests.lab import toy


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose best checkpoint is not its newest."""
    folder = tmp_path_factory.mktemp("run")
    settings = preset(folder, budget=250, checkpoint={"every": 2, "keep": 20}, learner={"learning_rate": 2e-2})
    assert main(["train", str(settings), "--runs-dir", str(folder), "--name", "small"]) == 0
    checkpoint.keep_as(checkpoint.BEST, folder / "small" / "checkpoints" / "000006")
    return folder / "small"


def agent(algorithm: str = "gumbel", seed: int = 0) -> Agent:
    torch.manual_seed(seed)
    settings = config(search={"algorithm": algorithm})
    game = settings.game.make()
    return make_agent("small", settings, make_network(settings, game).eval(), DEVICE)


def middle_game(game: Any, count: int = 40) -> Any:
    states = random_playout(game, 200).states[4]
    running = (~game.done(states)).nonzero()[:count, 0]
    return select(states, running)


def weights(path: Path) -> Any:
    return checkpoint.load(path)[0]["experiment"]["learner"]["average"]["module"]


def test_best_latest_and_an_iteration_are_the_checkpoints_they_name(run: Path) -> None:
    folder = run / "checkpoints"
    latest = checkpoint.numbered(folder)[0]
    observation = make("tic_tac_toe").observe(middle_game(make("tic_tac_toe")))
    expected = {"best": folder / "000006", "latest": latest, "4": folder / "000004", "0004": folder / "000004"}
    answers = {}
    for which, path in expected.items():
        loaded = load_agent(run, DEVICE, which)
        assert loaded.name == ("small" if which == "best" else f"small:{int(path.name)}")
        net = make_network(loaded.config, loaded.game).eval()
        net.load_state_dict(weights(path))
        logits = net(observation)[0]
        torch.testing.assert_close(loaded.evaluate(observation)[0], logits, rtol=1e-4, atol=1e-4)
        answers[path] = logits
    assert not torch.allclose(answers[latest], answers[folder / "000004"], atol=1e-3)


def test_a_checkpoint_directory_can_be_given_itself(run: Path) -> None:
    assert load_agent(run / "checkpoints" / "000004", DEVICE).name == "small:4"
    assert load_agent(str(run / "checkpoints" / "best"), DEVICE).name == "small"


def test_without_a_best_the_latest_plays(run: Path, tmp_path: Path) -> None:
    (tmp_path / "copy" / "checkpoints").mkdir(parents=True)
    (tmp_path / "copy" / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (tmp_path / "copy" / "checkpoints" / "000004").symlink_to(run / "checkpoints" / "000004")
    assert load_agent(tmp_path / "copy", DEVICE).name == "copy:4"


def test_a_run_of_another_kind_cannot_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "toy", toy.KIND)
    with RunDir.create(tmp_path, "toy", dump(toy.config())) as made:
        made.started()
    with pytest.raises(UserError, match="of kind 'toy', not alphazero"):
        load_agent(tmp_path / "toy", DEVICE)


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
@pytest.mark.parametrize("simulations", [0, 6])
def test_decisions_are_legal_repeatable_and_each_position_s_own(algorithm: str, simulations: int) -> None:
    one = agent(algorithm)
    states = middle_game(one.game)
    result = one.decide(states, simulations)
    assert one.game.legal(states).gather(1, result.action[:, None]).all()
    assert torch.allclose(result.policy.sum(1), torch.ones(len(result.policy)))
    assert (result.policy[~one.game.legal(states)] == 0).all()
    for _ in range(2):  # the table of positions is full the second time
        assert torch.equal(one.decide(states, simulations).action, result.action)
    backwards = torch.arange(len(result.action) - 1, -1, -1)
    turned = agent(algorithm).decide(select(states, backwards), simulations)
    assert torch.equal(turned.action.flip(0), result.action)
    torch.testing.assert_close(turned.value.flip(0), result.value, rtol=1e-4, atol=1e-4)


def test_without_simulations_it_is_the_network_alone() -> None:
    one = agent()
    states = middle_game(one.game)
    logits, value = one.evaluate(one.game.observe(states))
    legal = one.game.legal(states)
    result = one.decide(states, 0)
    expected = torch.softmax(torch.where(legal, logits, -torch.inf), -1)
    torch.testing.assert_close(result.policy, expected)
    assert torch.equal(result.action, expected.argmax(1)) and torch.allclose(result.value, value, atol=1e-5)
    assert not result.visits.any() and result.q.isnan().all()


def test_more_simulations_search_more() -> None:
    one = agent()
    states = middle_game(one.game)
    for simulations in (1, 5, 30):
        assert (one.decide(states, simulations).visits.sum(1) == simulations).all()


def test_a_win_at_once_is_taken() -> None:
    one = agent()
    state = one.game.initial(1, CPU)
    for action in (0, 3, 1, 4):  # X has the top row but for its last cell
        state = one.game.step(state, torch.tensor([action]))
    assert one.decide(state, 30).action.tolist() == [2]


def test_it_plays_with_a_copy_of_the_weights() -> None:
    settings = config()
    net = make_network(settings, settings.game.make()).eval()
    one = make_agent("small", settings, net, DEVICE)
    states = middle_game(one.game)
    before = one.decide(states, 4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    assert torch.equal(one.decide(states, 4).policy, before.policy)


def test_as_a_player_it_plays_its_decisions() -> None:
    one = agent()
    states = middle_game(one.game)
    player = AgentPlayer(one, 5)
    plies = one.game.plies(states)
    ids = torch.arange(len(plies))
    assert player.name == "small@5"
    assert torch.equal(player.choose(states, ids, plies), one.decide(states, 5).action)
