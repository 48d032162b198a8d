"""The policy and value network in fused operations, for self-play on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from agents.alphazero.heads import ConvolutionalPolicy, PooledValue
from lab.nets.cnn import ConvBlock, ResidualTower
from lab.nets.fused_cpu import FusedTower, PackedLinear, pixel_rows
from lab.nets.layers import Linear
from lab.nets.mlp import MLP

if TYPE_CHECKING:
    from agents.alphazero.network import PolicyValueNet

# Largest difference from the float32 network, as a fraction of its largest logit and as a number.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1}


class FusedNet:
    """`PolicyValueNet.forward` of a folded network in float32, its tower and 1x1 convolutions in `dtype`.

    observation [B, C, H, W] -> policy logits [B, A] and win/draw/loss logits [B, 3], float32. The weights are copies:
    call `refresh` after those of the network changed.
    """

    def __init__(self, folded: PolicyValueNet, dtype: torch.dtype) -> None:
        if not isinstance(folded.tower, ResidualTower):
            raise NotImplementedError("a recurrent trunk has no fused form")
        self._tower = FusedTower(folded.tower, dtype)  # raises NotImplementedError for norms that cannot be folded
        if isinstance(folded.policy, ConvolutionalPolicy) and isinstance(folded.value, PooledValue):
            self._heads: _ConvolutionalHeads | _LinearHeads = _ConvolutionalHeads(folded.policy, folded.value, dtype)
        else:
            self._heads = _LinearHeads(folded, dtype)

    def refresh(self) -> None:
        self._tower.refresh()
        self._heads.refresh()

    def __call__(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return self._heads.logits(self._tower.apply(observation, self._heads.planes))


class _LinearHeads:
    """Linear heads: one product for both heads' planes, one for the policy and the value's hidden layer."""

    def __init__(self, folded: PolicyValueNet, dtype: torch.dtype) -> None:
        self._net, self._dtype = folded, dtype
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        net = self._net
        self._planes = _packed_planes([net.policy_planes, net.value_planes], self._dtype)
        assert isinstance(net.policy, Linear) and isinstance(net.value, MLP)
        # Of the value's MLP: the hidden layer, to which no norm belongs, and the output layer.
        hidden, out = (layer for layer in net.value.modules() if isinstance(layer, Linear))
        # Both read the planes of all cells in the memory order of channels_last; weights of the other head's are zero.
        policy_planes, value_planes = net.policy_planes.conv.out_channels, net.value_planes.conv.out_channels
        policy = net.policy.weight.unflatten(1, (policy_planes, -1)).transpose(1, 2)  # [A, H * W, planes]
        value = hidden.weight.unflatten(1, (value_planes, -1)).transpose(1, 2)
        above = torch.cat([policy, policy.new_zeros(*policy.shape[:2], value_planes)], 2)
        below = torch.cat([value.new_zeros(*value.shape[:2], policy_planes), value], 2)
        self._first = PackedLinear(torch.cat([above, below]).flatten(1), torch.cat([net.policy.bias, hidden.bias]))
        self._second = PackedLinear(out.weight, out.bias)
        self._widths = [len(policy), len(value)]

    def planes(self, features: Tensor) -> Tensor:
        """[B, channels, H, W] -> relu of the heads' planes [B, H * W * planes]."""
        return self._planes.relu(pixel_rows(features)).view(len(features), -1).float()

    def logits(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, hidden = self._first(planes).split(self._widths, 1)
        return policy, self._second(hidden.relu())


class _ConvolutionalHeads:
    """Convolutional heads: one product for the three 1x1 convolutions."""

    def __init__(self, policy: ConvolutionalPolicy, value: PooledValue, dtype: torch.dtype) -> None:
        self._policy, self._value, self._dtype = policy, value, dtype
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        blocks = [self._policy.cells, self._policy.pooled, self._value.planes]
        self._planes = _packed_planes(blocks, self._dtype)
        self._widths = [block.conv.out_channels for block in blocks]

    def planes(self, features: Tensor) -> Tensor:
        """[B, channels, H, W] -> the convolutions' outputs [B, planes, H, W], channels_last."""
        batch, _, height, width = features.shape
        rows = self._planes(pixel_rows(features)).float()
        return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)

    def logits(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        size = planes.shape[2:]
        cells, pooled, value = planes.flatten(2).split(self._widths, 1)
        return self._policy.logits(cells, pooled.relu(), *size), self._value.logits(value.relu(), *size)


def _packed_planes(blocks: list[ConvBlock], dtype: torch.dtype) -> PackedLinear:
    """The 1x1 convolutions of folded blocks as one linear map of pixels."""
    weight = torch.cat([block.conv.weight for block in blocks]).flatten(1)
    return PackedLinear(weight, torch.cat([block.conv.bias for block in blocks if block.conv.bias is not None]), dtype)


@torch.inference_mode()
def fused_form(folded: PolicyValueNet, dtype: torch.dtype) -> FusedNet | None:
    """The fused form of a folded float32 network; None where this torch lacks it or its result differs."""
    generator = torch.Generator().manual_seed(0)
    observation = torch.rand((5, *folded.observation_shape), generator=generator)
    try:
        fused = FusedNet(folded, dtype)
        outputs = fused(observation)
    except (AttributeError, NotImplementedError, RuntimeError):
        return None
    allowed = _TOLERANCE[dtype]
    for output, expected in zip(outputs, folded(observation), strict=True):
        # A NaN in the network's own weights is found by the run, not here.
        if (output - expected).abs().max() > allowed * (1.0 + expected.abs().max()):
            return None
    return fused
