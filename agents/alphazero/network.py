"""The policy and value network, and the form of it that self-play calls."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.nets.cnn import ConvBlock, ResidualTower
from lab.nets.fold import fold, fold_into
from lab.nets.init import HE, Init
from lab.nets.layers import Linear
from lab.nets.mlp import MLP

WIN, DRAW, LOSS = 0, 1, 2


class PolicyValueNet(nn.Module):
    """Residual tower with a policy head and a win/draw/loss head, both from the mover's point of view.

    observation [B, C, H, W] float32 -> policy logits [B, A], win/draw/loss logits [B, 3].

    Tower and heads follow Silver et al. 2017 (AlphaGo Zero), Methods, "Neural network architecture": each
    head is a 1x1 convolution block to a few planes (2 and 1 there), then linear layers. Three outcome classes
    replace the scalar value, so that draws are told from even chances.
    """

    def __init__(
        self,
        observation_shape: tuple[int, int, int],
        num_actions: int,
        *,
        channels: int = 64,
        blocks: int = 5,
        norm: str = "batch",
        squeeze_excitation: int = 0,
        policy_planes: int = 2,
        value_planes: int = 1,
        value_hidden: int = 64,
        init: Init = HE,
    ) -> None:
        super().__init__()
        planes, height, width = observation_shape
        self.observation_shape = observation_shape
        self.num_actions = num_actions
        self.tower = ResidualTower(
            planes, channels, blocks, norm=norm, squeeze_excitation=squeeze_excitation, init=init
        )
        self.policy_planes = ConvBlock(channels, policy_planes, 1, norm=norm, init=init)
        self.policy = Linear(policy_planes * height * width, num_actions, init=init.with_gain(1.0))
        self.value_planes = ConvBlock(channels, value_planes, 1, norm=norm, init=init)
        self.value = MLP(value_planes * height * width, [value_hidden], 3, init=init)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        features = self.tower(observation)
        policy = self.policy(self.policy_planes(features).flatten(1))
        outcome = self.value(self.value_planes(features).flatten(1))
        return policy, outcome


def expected_value(outcome: Tensor) -> Tensor:
    """Win/draw/loss logits [..., 3] -> P(win) - P(loss) [...], in [-1, 1]."""
    chances = outcome.softmax(-1)
    return chances[..., WIN] - chances[..., LOSS]


def _channels_last(net: PolicyValueNet) -> PolicyValueNet:
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class InferenceNet:
    """The fastest form of a `PolicyValueNet` for self-play: an evaluator.

    observation [B, C, H, W] float32 -> policy logits [B, A] float32, value [B] float32 in [-1, 1].
    """

    def __init__(self, net: PolicyValueNet) -> None:
        self.folded = _channels_last(fold(net))

    def update(self, net: PolicyValueNet) -> None:
        """Take new weights into the same storage."""
        fold_into(net, self.folded)

    @torch.inference_mode()
    def __call__(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        logits, outcome = self.folded(observation.contiguous(memory_format=torch.channels_last))
        return logits, expected_value(outcome)
