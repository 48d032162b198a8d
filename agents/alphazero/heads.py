"""Policy and value heads whose weights do not depend on the size of the board (Wu 2019, "KataGo", appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.games.game import ActionLayout
from lab.nets.cnn import ConvBlock
from lab.nets.global_pooling import pool, scaled_width
from lab.nets.init import HE, Init
from lab.nets.layers import Linear
from lab.nets.mlp import MLP

_VARIANCE = 10.0  # of the widths of boards from 9x9 to 19x19


class ConvolutionalPolicy(nn.Module):
    """Policy head [B, channels, H, W] -> logits [B, A] in the order of `ActionLayout`.

    Each cell has `hidden` features, to which globally pooled ones add a bias, and from which a 1x1 convolution computes
    the logits of the cell's actions. The logits of a column are the sums of those of its cells. Actions without a place
    on the board depend on the pooled features alone.
    """

    def __init__(
        self, channels: int, hidden: int, layout: ActionLayout, *, norm: str = "batch", init: Init = HE
    ) -> None:
        super().__init__()
        self.columns = layout.columns
        self.cells = ConvBlock(channels, hidden, 1, norm=norm, activation="none", init=init)
        self.pooled = ConvBlock(channels, hidden, 1, norm=norm, init=init)
        self.bias = Linear(3 * hidden, hidden, init=init.with_gain(1.0))
        self.out = Linear(hidden, layout.planes, init=init.with_gain(1.0))
        self.others = Linear(3 * hidden, layout.others, init=init.with_gain(1.0)) if layout.others else None

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[2:]
        return self.logits(self.cells(features).flatten(2), self.pooled(features).flatten(2), height, width)

    def logits(self, cells: Tensor, pooled: Tensor, height: int, width: int) -> Tensor:
        """Logits [B, A] of the two convolutions' outputs [B, hidden, H * W]."""
        board = pool(pooled, height, width)
        hidden = (cells + self.bias(board)[:, :, None]).relu()
        logits = self.out(hidden.transpose(1, 2)).transpose(1, 2)  # [B, planes, H * W]
        if self.columns:
            logits = logits.unflatten(2, (height, width)).sum(2)
        logits = logits.flatten(1)
        return logits if self.others is None else torch.cat([logits, self.others(board)], 1)


class PooledValue(nn.Module):
    """Win/draw/loss head [B, channels, H, W] -> logits [B, 3] from globally pooled features."""

    def __init__(
        self, channels: int, planes: int, hidden: int, outcomes: int, *, norm: str = "batch", init: Init = HE
    ) -> None:
        super().__init__()
        self.planes = ConvBlock(channels, planes, 1, norm=norm, init=init)
        self.mlp = MLP(3 * planes, [hidden], outcomes, init=init)

    def forward(self, features: Tensor) -> Tensor:
        return self.logits(self.planes(features).flatten(2), *features.shape[2:])

    def logits(self, planes: Tensor, height: int, width: int) -> Tensor:
        """Logits [B, 3] of the convolution's output [B, planes, H * W]."""
        return self.mlp(pool_mean(planes, height, width))


def pool_mean(x: Tensor, height: int, width: int) -> Tensor:
    """[B, 3 * C]: the mean over H * W cells, also scaled linearly and quadratically by the board's width."""
    mean, scale = x.mean(2), scaled_width(height, width)
    return torch.cat([mean, mean * scale, mean * (scale**2 - _VARIANCE / 100.0)], 1)
