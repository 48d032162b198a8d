"""A residual tower in oneDNN's fused operations, for inference on a CPU in float32.

Eager PyTorch runs convolution, ReLU and skip connection as separate passes over memory and converts the weights to the
blocked layout of the kernels on every call, which costs a quarter of the time at the sizes of board games. The
operations below are those that torch's compiler emits for the same graph. They are not public: the caller must compare
a first result with the plain form and fall back to it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.nets.cnn import ConvBlock, GlobalPoolingBlock, ResidualBlock, ResidualTower

# Two activations of this many bytes stay in a core's second-level cache; larger batches run in pieces.
CHUNK_BYTES = 700_000


class FusedTower:
    """A folded `ResidualTower` without gates, as a function [B, C, H, W] -> [B, channels, H, W].

    The weights are repacked copies: call `refresh` after the tower's weights changed. The packing does
    not depend on the batch size. Raises NotImplementedError if the tower has operations other than convolutions, ReLUs
    and skip connections, or if torch was built without oneDNN.
    """

    def __init__(self, tower: ResidualTower) -> None:
        if not torch.backends.mkldnn.is_available():
            raise NotImplementedError("torch was built without oneDNN")
        self._tower = tower
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        self._stem = PackedConv(self._tower.stem)
        self._blocks: list[tuple[PackedConv, PackedConv, GlobalPoolingBlock | None]] = []
        for block in self._tower.blocks:
            assert isinstance(block, ResidualBlock | GlobalPoolingBlock)
            pooling = block if isinstance(block, GlobalPoolingBlock) else None
            if isinstance(block, ResidualBlock) and block.gate is not None:
                raise NotImplementedError("squeeze-excitation has no fused form")
            self._blocks.append((PackedConv(block.first), PackedConv(block.second), pooling))

    def __call__(self, x: Tensor) -> Tensor:
        boards = self._boards_per_chunk(x.shape[2] * x.shape[3])
        chunks = x.contiguous(memory_format=torch.channels_last).split(boards)
        return self._run(chunks[0]) if len(chunks) == 1 else torch.cat([self._run(chunk) for chunk in chunks])

    def _boards_per_chunk(self, pixels: int) -> int:
        return max(8, CHUNK_BYTES // (4 * self._stem.out_channels * pixels))

    def _run(self, x: Tensor) -> Tensor:
        x = self._stem.relu(x)
        for first, second, pooling in self._blocks:
            inner = first.relu(x) if pooling is None else pooling.biased(first.linear(x))
            x = second.add_relu(inner.contiguous(memory_format=torch.channels_last), x)
        return x


class PackedConv:
    """The convolution of a folded `ConvBlock`, its weight in oneDNN's blocked layout."""

    def __init__(self, block: ConvBlock) -> None:
        conv = block.conv
        if not all(isinstance(layer, nn.Identity | nn.ReLU) for layer in list(block)[1:]):
            raise NotImplementedError(f"{block} has no fused form")
        self.out_channels = conv.out_channels
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight.detach(), *self._geometry, None)
        self._bias = None if conv.bias is None else conv.bias.detach()

    def relu(self, x: Tensor) -> Tensor:
        """relu(conv(x))"""
        return self._pointwise(x, "relu")

    def linear(self, x: Tensor) -> Tensor:
        """conv(x)"""
        return self._pointwise(x, "none")

    def _pointwise(self, x: Tensor, then: str) -> Tensor:
        operation = torch.ops.mkldnn._convolution_pointwise.default
        return operation(x, self._weight, self._bias, *self._geometry, then, [], "")

    def add_relu(self, x: Tensor, skip: Tensor) -> Tensor:
        """relu(conv(x) + skip)"""
        operation = torch.ops.mkldnn._convolution_pointwise.binary
        return operation(x, skip, self._weight, self._bias, *self._geometry, "add", 1.0, "relu", [], "")


def pixel_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution to few channels as one matrix product over pixels, several times faster.

    x [B, C, H, W] (channels_last: its pixels are rows already), weight [D, C], bias [D] -> [B, D, H * W].
    """
    rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    planes = functional.linear(rows, weight, bias)
    return planes.view(x.shape[0], -1, weight.shape[0]).transpose(1, 2)
