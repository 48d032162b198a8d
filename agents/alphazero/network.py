"""The policy and value network, and its fast form for inference."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from agents.alphazero.auxiliary import AuxiliaryHeads, HeadSizes
from agents.alphazero.auxiliary_config import AuxiliaryConfig
from agents.alphazero.fused import fused_form
from agents.alphazero.heads import ConvolutionalPolicy, PooledValue
from agents.games.game import ActionLayout
from lab.nets.cnn import ConvBlock, ResidualTower
from lab.nets.fold import fold, fold_into
from lab.nets.init import HE, Init
from lab.nets.layers import Linear
from lab.nets.mlp import MLP
from lab.nets.renet import ReNet
from lab.train.device import Form, resolve

AUXILIARY = "auxiliary."
"""Prefix of the names of weights that only training has."""

WIN, DRAW, LOSS = 0, 1, 2
OUTCOMES = 3

Trunk = Literal["residual", "recurrent"]
Heads = Literal["linear", "convolutional"]


class PolicyValueNet(nn.Module):
    """A tower with a policy head and a win/draw/loss head, both from the mover's point of view.

    observation [B, C, H, W] float32 -> policy logits [B, A], win/draw/loss logits [B, 3].

    With `heads` "linear" the network is for one size of board. With "convolutional" it takes every size, and the
    actions are those of `layout` on it (`agents.alphazero.heads`). Auxiliary heads are evaluated in training alone.

    The residual tower and the linear heads follow Silver et al. 2017 (AlphaGo Zero), Methods, "Neural network
    architecture": each head is a 1x1 convolution block to a few planes (2 and 1 there), then linear layers. Three
    outcome classes replace the scalar value, which cannot distinguish a draw from even chances. With `trunk`
    "recurrent" a ReNet of `cell`s replaces the tower.
    """

    tower: ResidualTower | ReNet
    policy: Linear | ConvolutionalPolicy
    value: MLP | PooledValue

    def __init__(
        self,
        observation_shape: tuple[int, int, int],
        num_actions: int,
        *,
        trunk: Trunk = "residual",
        channels: int = 64,
        blocks: int = 5,
        cell: str = "gru",
        norm: str = "batch",
        squeeze_excitation: int = 0,
        global_pooling: int = 0,
        heads: Heads = "linear",
        layout: ActionLayout | None = None,
        policy_planes: int = 2,
        value_planes: int = 1,
        head_channels: int = 32,
        value_hidden: int = 64,
        auxiliary: AuxiliaryConfig | None = None,
        init: Init = HE,
    ) -> None:
        super().__init__()
        planes, height, width = observation_shape
        self.observation_shape = observation_shape
        self.num_actions = num_actions
        if trunk == "recurrent":
            self.tower = ReNet(planes, channels, blocks, cell=cell)
        else:
            self.tower = ResidualTower(
                *(planes, channels, blocks),
                norm=norm,
                squeeze_excitation=squeeze_excitation,
                global_pooling=global_pooling,
                init=init,
            )
        self.heads = heads
        if heads == "convolutional":
            if layout is None:
                raise ValueError("convolutional heads need the layout of the actions")
            self.policy = ConvolutionalPolicy(channels, head_channels, layout, norm=norm, init=init)
            self.value = PooledValue(channels, head_channels, value_hidden, OUTCOMES, norm=norm, init=init)
        else:
            self.policy_planes = ConvBlock(channels, policy_planes, 1, norm=norm, init=init)
            self.policy = Linear(policy_planes * height * width, num_actions, init=init.with_gain(1.0))
            self.value_planes = ConvBlock(channels, value_planes, 1, norm=norm, init=init)
            self.value = MLP(value_planes * height * width, [value_hidden], OUTCOMES, init=init)
        sizes = HeadSizes(
            *(observation_shape, num_actions, channels, policy_planes, value_planes, head_channels, value_hidden, norm),
            layout=layout if heads == "convolutional" else None,
        )
        self.auxiliary = AuxiliaryHeads(auxiliary or AuxiliaryConfig(), sizes, init)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return self._outputs(self.tower(observation))

    def training_outputs(self, observation: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What `forward` returns, then the outputs of the auxiliary heads by name."""
        features = self.tower(observation)
        return *self._outputs(features), self.auxiliary(features)

    def for_inference(self) -> PolicyValueNet:
        """A network without auxiliary heads that shares this one's layers."""
        bare = copy.copy(self)
        bare._modules = {name: part for name, part in self._modules.items() if name != "auxiliary"}
        return bare

    def _outputs(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if self.heads == "convolutional":
            return self.policy(features), self.value(features)
        policy = self.policy(self.policy_planes(features).flatten(1))
        outcome = self.value(self.value_planes(features).flatten(1))
        return policy, outcome

    @property
    def output_layers(self) -> list[nn.Module]:
        """Modules that end in an output layer (see `lab.train.optimizers.make_optimizer`)."""
        return [layer for head in (self.policy, self.value, *self.auxiliary.values()) for layer in _ends(head)]


def _ends(head: nn.Module) -> list[nn.Module]:
    if not isinstance(head, ConvolutionalPolicy):
        return [head]
    return [head.out] if head.others is None else [head.out, head.others]


def expected_value(outcome: Tensor) -> Tensor:
    """Win/draw/loss logits [..., 3] -> P(win) - P(loss) [...], in [-1, 1]."""
    probability = outcome.softmax(-1)
    return probability[..., WIN] - probability[..., LOSS]


class InferenceNet:
    """The fastest form of a `PolicyValueNet` for self-play: an evaluator.

    observation [B, C, H, W] float32 -> policy logits [B, A] float32, value [B] float32 in [-1, 1], without
    gradients. Normalisation is folded into the weights and memory is channels_last. `precision` "auto" means
    bf16 on GPUs that have it and fp32 elsewhere. `form` is "fused" (oneDNN's fused operations, on a CPU) or "plain"
    (torch modules); None is the fused form where there is one. In it the layers after the heads' 1x1 convolutions
    are in float32, and with linear heads an evaluation does not depend, in any bit, on the other rows of its batch.
    """

    def __init__(self, net: PolicyValueNet, *, precision: str = "auto", form: Form | None = None) -> None:
        device = next(net.parameters()).device
        if precision == "auto":
            precision = resolve(str(device), precision).precision
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.folded = fold(net.for_inference()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._fused = None
        if device.type == "cpu" and form != "plain":
            self._fused = fused_form(self.folded, self.dtype)
        if self._fused is None:
            # Stored in the precision of inference: autocast would convert the weights on every call.
            self.folded = self.folded.to(self.dtype)

    @property
    def form(self) -> Form:
        return "plain" if self._fused is None else "fused"

    def update(self, net: PolicyValueNet) -> None:
        """Copy the weights of `net`, which has the same shape, into the existing storage."""
        fold_into(net.for_inference(), self.folded)
        if self._fused is not None:
            self._fused.refresh()

    @torch.inference_mode()
    def __call__(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        logits, outcome = self._forward(observation)
        return logits.float(), expected_value(outcome.float())

    @torch.inference_mode()
    def outcomes(self, observation: Tensor) -> Tensor:
        """float32 [B, 3]: probabilities of a win, a draw and a loss for the mover."""
        return self._forward(observation)[1].float().softmax(-1)

    def _forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        if self._fused is not None:
            return self._fused(observation)
        channels_last = observation.to(self.dtype).contiguous(memory_format=torch.channels_last)
        logits, outcome = self.folded(channels_last)
        return logits, outcome
