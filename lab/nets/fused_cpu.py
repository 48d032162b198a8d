"""A residual tower and linear layers in oneDNN's fused operations, for inference on a CPU in float32 or bfloat16.

Eager PyTorch runs convolution, ReLU and skip connection as separate passes over memory and converts the weights to the
blocked layout of the kernels on every call, which costs a quarter of the time in float32 and more than half in bfloat16
at the sizes of board games. The operations below are those that torch's compiler emits for the same graph. They are not
public: the caller must compare a first result with the plain form and fall back to it.

A row of a result does not depend, in any bit, on the other rows or on their number: the layout of the weights is chosen
once, and every row is summed in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from lab.nets.cnn import ConvBlock, GlobalPoolingBlock, ResidualBlock, ResidualTower

# Two activations of this many bytes stay in a core's second-level cache; larger batches run in pieces.
CHUNK_BYTES = 700_000
# oneDNN generates code for every size of batch, about 1 ms for each layer: sizes are multiples of this number.
BATCH_MULTIPLE = 4


class FusedTower:
    """A folded `ResidualTower` without gates, as a function [B, C, H, W] -> [B, channels, H, W] of dtype `dtype`.

    The weights are repacked copies: call `refresh` after the tower's weights changed. Raises NotImplementedError if the
    tower has operations other than convolutions, ReLUs and skip connections, or if torch was built without oneDNN.
    """

    def __init__(self, tower: ResidualTower, dtype: torch.dtype = torch.float32) -> None:
        if not torch.backends.mkldnn.is_available():
            raise NotImplementedError("torch was built without oneDNN")
        self._tower, self._dtype = tower, dtype
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        self._stem = PackedConv(self._tower.stem, self._dtype)
        self._blocks: list[tuple[PackedConv, PackedConv, GlobalPoolingBlock | None]] = []
        for block in self._tower.blocks:
            assert isinstance(block, ResidualBlock | GlobalPoolingBlock)
            pooling = block if isinstance(block, GlobalPoolingBlock) else None
            if isinstance(block, ResidualBlock) and block.gate is not None:
                raise NotImplementedError("squeeze-excitation has no fused form")
            first, second = PackedConv(block.first, self._dtype), PackedConv(block.second, self._dtype)
            self._blocks.append((first, second, pooling))

    def __call__(self, x: Tensor) -> Tensor:
        return self.apply(x, lambda features: features)

    def apply(self, x: Tensor, finish: Callable[[Tensor], Tensor]) -> Tensor:
        """`finish` of the features of x [B, C, H, W], piece by piece while they are in the cache.

        finish: features [N, channels, H, W] (channels_last) -> [N, ...], whose rows are concatenated.
        """
        parts = [finish(self._run(chunk))[:rows] for chunk, rows in self._chunks(x)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _chunks(self, x: Tensor) -> Iterator[tuple[Tensor, int]]:
        """Pieces of x in the tower's dtype and layout, filled up with zeros, and their number of rows."""
        for part in x.split(self._boards_per_chunk(x.shape[2] * x.shape[3])):
            rows = len(part)
            padded = -(-rows // BATCH_MULTIPLE) * BATCH_MULTIPLE
            chunk = torch.empty(
                (padded, *x.shape[1:]), dtype=self._dtype, device=x.device, memory_format=torch.channels_last
            )
            chunk[:rows] = part
            chunk[rows:] = 0.0
            yield chunk, rows

    def _boards_per_chunk(self, pixels: int) -> int:
        boards = CHUNK_BYTES // (self._dtype.itemsize * self._stem.out_channels * pixels)
        return max(8, boards // BATCH_MULTIPLE * BATCH_MULTIPLE)

    def _run(self, x: Tensor) -> Tensor:
        x = self._stem.relu(x)
        for first, second, pooling in self._blocks:
            inner = first.relu(x) if pooling is None else pooling.biased(first.linear(x).float()).to(self._dtype)
            x = second.add_relu(inner.contiguous(memory_format=torch.channels_last), x)
        return x


class PackedConv:
    """The convolution of a folded `ConvBlock`, its weight in oneDNN's blocked layout, in dtype `dtype`."""

    def __init__(self, block: ConvBlock, dtype: torch.dtype = torch.float32) -> None:
        conv = block.conv
        if not all(isinstance(layer, nn.Identity | nn.ReLU) for layer in list(block)[1:]):
            raise NotImplementedError(f"{block} has no fused form")
        self.out_channels = conv.out_channels
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        weight = conv.weight.detach().to(dtype)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self._geometry, None)
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)

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


class PackedLinear:
    """An affine map [N, in] -> [N, out] with weight [out, in] and bias [out] in oneDNN's blocked layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype = torch.float32) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype).contiguous(), None)
        self._bias = None if bias is None else bias.detach().to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.default(x, self._weight, self._bias, "none", [], "")

    def relu(self, x: Tensor) -> Tensor:
        """relu(weight x + bias)"""
        return torch.ops.mkldnn._linear_pointwise.default(x, self._weight, self._bias, "relu", [], "")


def pixel_rows(x: Tensor) -> Tensor:
    """[B, C, H, W] in channels_last -> [B * H * W, C], without a copy: a 1x1 convolution is a linear map of rows."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
