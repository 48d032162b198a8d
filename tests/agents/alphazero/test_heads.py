"""Heads that do not depend on the board's size: one network on several, and the same results in every form."""

import math

import pytest
import torch

from agents.alphazero.heads import ConvolutionalPolicy, PooledValue, pool_mean
from agents.alphazero.network import InferenceNet, PolicyValueNet, expected_value
from agents.games import ActionLayout, Game, make
from lab.nets.global_pooling import pool
from lab.train.device import Form
from tests.agents.games.patrol import Patrol

GAMES: list[Game] = [make("connect_four"), make("tic_tac_toe", rows=5, columns=4, length=3), Patrol()]


def network(game: Game, seed: int = 0) -> PolicyValueNet:
    torch.manual_seed(seed)
    net = PolicyValueNet(
        game.observation_shape,
        game.num_actions,
        channels=16,
        blocks=1,
        heads="convolutional",
        layout=game.action_layout,
        head_channels=8,
    )
    net.train()
    shape = game.observation_shape
    for _ in range(3):  # statistics of the norms that are not 0 and 1
        net(torch.rand(32, *shape))
    return net.eval()


def named(game: Game) -> str:
    return game.name


@pytest.mark.parametrize("game", GAMES, ids=named)
def test_there_is_a_logit_for_each_action(game: Game) -> None:
    logits, outcome = network(game)(torch.rand(4, *game.observation_shape))
    assert logits.shape == (4, game.num_actions) and outcome.shape == (4, 3)


@pytest.mark.parametrize("game", GAMES, ids=named)
@pytest.mark.parametrize("form", ["fused", "plain"])
def test_inference_gives_what_the_network_gives(game: Game, form: Form) -> None:
    net = network(game)
    observation = torch.rand(6, *game.observation_shape)
    fast = InferenceNet(net, precision="fp32", form=form)
    assert fast.form == (form if torch.backends.mkldnn.is_available() else "plain")
    logits, outcome = net(observation)
    torch.testing.assert_close(fast(observation)[0], logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fast(observation)[1], expected_value(outcome), rtol=1e-4, atol=1e-4)


def test_weights_of_one_size_are_those_of_another() -> None:
    small, large = make("connect_four", rows=4, columns=5), make("connect_four", rows=7, columns=9)
    net = network(small)
    other = network(large, seed=1)
    other.load_state_dict(net.state_dict())
    seen = torch.rand(3, *large.observation_shape)
    assert torch.equal(other(seen)[0], net(seen)[0]) and torch.equal(other(seen)[1], net(seen)[1])
    assert net(seen)[0].shape == (3, 9)


def test_an_action_is_its_plane_and_cell_and_the_others_come_last() -> None:
    torch.manual_seed(0)
    head = ConvolutionalPolicy(6, 4, ActionLayout(planes=3, others=2), norm="none")
    features = torch.rand(2, 6, 4, 5)
    logits = head(features)
    assert logits.shape == (2, 3 * 20 + 2)
    cells, board = head.cells(features), pool(head.pooled(features).flatten(2), 4, 5)
    hidden = (cells + head.bias(board)[:, :, None, None]).relu()
    one = hidden[1, :, 2, 3] @ head.out.weight[1] + head.out.bias[1]
    torch.testing.assert_close(logits[1, 20 + 2 * 5 + 3], one)
    assert head.others is not None
    torch.testing.assert_close(logits[:, 60:], head.others(board))


def test_a_mirrored_board_has_mirrored_cells() -> None:
    """1x1 convolutions and pooling know nothing of places: what moves on the board moves in the logits."""
    torch.manual_seed(0)
    policy, value = ConvolutionalPolicy(6, 4, ActionLayout(planes=2), norm="none"), PooledValue(6, 4, 8, 3, norm="none")
    features = torch.rand(2, 6, 4, 5)
    mirrored = policy(features.flip(3)).view(2, 2, 4, 5).flip(3)
    torch.testing.assert_close(mirrored.flatten(1), policy(features))
    torch.testing.assert_close(value(features.flip(3)), value(features))


def test_pooling_scales_with_the_width_of_the_board_as_katago_does() -> None:
    x = torch.arange(2 * 3 * 36, dtype=torch.float32).view(2, 3, 36)
    mean = x.mean(2)
    scale = (6 - 14) / 10
    torch.testing.assert_close(pool(x, 6, 6), torch.cat([mean, mean * scale, x.amax(2)], 1))
    torch.testing.assert_close(pool_mean(x, 4, 9), torch.cat([mean, mean * scale, mean * (scale**2 - 0.1)], 1))
    width = math.sqrt(30)
    assert pool(x[:, :, :30], 5, 6)[0, 3] == pytest.approx(float(x[0, 0, :30].mean()) * (width - 14) / 10)
