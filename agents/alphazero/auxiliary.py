"""Auxiliary heads of the network, which only training evaluates: what they predict, their layers and their losses."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.alphazero.auxiliary_config import AuxiliaryConfig
from agents.alphazero.heads import ConvolutionalPolicy, PooledValue
from agents.alphazero.records import Samples, final_board_cells, reply_policy
from agents.games.game import ActionLayout, Game, Symmetries
from lab.nets.cnn import ConvBlock
from lab.nets.init import HE, Init
from lab.nets.layers import Conv2d, Linear
from lab.nets.mlp import MLP

SOFTNESS = 0.25  # exponent of the soft policy
HOLDERS = 3  # of a cell of the final board: the mover, the opponent, nobody
MINE, THEIRS, NOBODY, UNKNOWN = 0, 1, 2, -100  # -100 is what cross_entropy leaves out


class HeadSizes(NamedTuple):
    """Sizes of the heads; see `agents.alphazero.config.NetworkConfig`. layout: for convolutional heads, else None."""

    observation_shape: tuple[int, int, int]
    num_actions: int
    channels: int
    policy_planes: int
    value_planes: int
    head_channels: int
    value_hidden: int
    norm: str
    layout: ActionLayout | None


class AuxiliaryHeads(nn.ModuleDict):
    """Heads on the features of the tower [B, channels, H, W], by name.

    opponent_reply and soft_policy: logits [B, A]. value_horizons: logits [B, T] of (value + 1) / 2, one for each
    horizon. final_board: logits [B, 3, H, W] of who holds a cell.
    """

    def __init__(self, config: AuxiliaryConfig, sizes: HeadSizes, init: Init = HE) -> None:
        super().__init__()
        if config.opponent_reply:
            self["opponent_reply"] = _policy(sizes, init)
        if config.soft_policy:
            self["soft_policy"] = _policy(sizes, init)
        if config.value_horizons:
            self["value_horizons"] = _value(sizes, len(config.value_horizons), init)
        if config.final_board:
            self["final_board"] = Conv2d(sizes.channels, HOLDERS, 1, init=init.with_gain(1.0))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {name: head(features) for name, head in self.items()}


def _policy(sizes: HeadSizes, init: Init) -> nn.Module:
    if sizes.layout is not None:
        return ConvolutionalPolicy(sizes.channels, sizes.head_channels, sizes.layout, norm=sizes.norm, init=init)
    _, height, width = sizes.observation_shape
    out = Linear(sizes.policy_planes * height * width, sizes.num_actions, init=init.with_gain(1.0))
    return _flat(ConvBlock(sizes.channels, sizes.policy_planes, 1, norm=sizes.norm, init=init), out)


def _value(sizes: HeadSizes, values: int, init: Init) -> nn.Module:
    if sizes.layout is not None:
        hidden = sizes.value_hidden
        return PooledValue(sizes.channels, sizes.head_channels, hidden, values, norm=sizes.norm, init=init)
    _, height, width = sizes.observation_shape
    out = MLP(sizes.value_planes * height * width, [sizes.value_hidden], values, init=init)
    return _flat(ConvBlock(sizes.channels, sizes.value_planes, 1, norm=sizes.norm, init=init), out)


def _flat(planes: ConvBlock, out: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(planes=planes, flatten=nn.Flatten(), out=out))


class AuxiliaryLosses:
    """Losses of the auxiliary heads on samples, each a mean over all positions and 0 where it is perfect."""

    def __init__(self, game: Game, config: AuxiliaryConfig, symmetries: Symmetries) -> None:
        self._game, self._symmetries = game, symmetries
        _, height, width = game.observation_shape
        cells = symmetries.planes[:, : height * width] % (height * width)
        self._board_symmetries = torch.cat([cells, cells + height * width], 1)
        self._weights = {
            "opponent_reply": config.opponent_reply,
            "soft_policy": config.soft_policy,
            "value_horizons": config.value_horizon_weight if config.value_horizons else 0.0,
            "final_board": config.final_board,
        }

    def targets(self, samples: Samples, which: Tensor | None) -> list[Tensor]:
        """What the samples say beside policy and value, a list of tensors [N, ...] for `losses`.

        which: int64 [N], the symmetry under which each position is trained; None for the identity.
        """
        found = []
        if self._weights["opponent_reply"]:
            reply = reply_policy(samples, self._game.num_actions)
            found.append(reply if which is None else reply.gather(1, self._symmetries.actions.index_select(0, which)))
        if self._weights["value_horizons"]:
            found.append(samples.horizon_values.to(torch.float32))
        if self._weights["final_board"]:
            cells = final_board_cells(self._game, samples)
            if which is not None:
                cells = cells.gather(1, self._board_symmetries.index_select(0, which))
            found.append(_holders(cells))
        return found

    def losses(self, outputs: dict[str, Tensor], policy: Tensor, targets: list[Tensor]) -> dict[str, Tensor]:
        """Losses by name; outputs: of `AuxiliaryHeads`. policy: float32 [N, A], the improved policy."""
        left = iter(targets)
        found = {}
        for name, output in outputs.items():
            if name == "soft_policy":
                found[name] = policy_loss(output.float(), softened(policy))
            elif name == "opponent_reply":
                found[name] = policy_loss(output.float(), next(left))
            elif name == "value_horizons":
                found[name] = values_loss(output.float(), next(left))
            else:
                found[name] = board_loss(output.float(), next(left))
        return found

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of `losses`, 0-d."""
        return torch.stack([self._weights[name] * loss for name, loss in losses.items()]).sum()


def softened(policy: Tensor) -> Tensor:
    """Policies [N, A] with every probability raised to 1/4, scaled to the sum 1 (KataGo, "KataGoMethods.md")."""
    raised = policy**SOFTNESS
    return raised / raised.sum(1, keepdim=True).clamp_min(torch.finfo(raised.dtype).tiny)


def policy_loss(logits: Tensor, policy: Tensor) -> Tensor:
    """Mean KL divergence from policies [N, A], 0-d; a row of zeros has no target and the loss 0."""
    return F.cross_entropy(logits, policy) + torch.special.xlogy(policy, policy).sum(1).mean()


def values_loss(logits: Tensor, values: Tensor) -> Tensor:
    """KL divergence of win and loss from values [N, T] in [-1, 1], summed over T, mean over N, 0-d."""
    win = (1.0 + values) / 2.0
    entropy = -torch.special.xlogy(win, win) - torch.special.xlogy(1.0 - win, 1.0 - win)
    return (F.binary_cross_entropy_with_logits(logits, win, reduction="none") - entropy).sum(1).mean()


def board_loss(logits: Tensor, holders: Tensor) -> Tensor:
    """Cross-entropy of logits [N, 3, H, W] with holders int64 [N, H * W], mean over N and cells, 0-d."""
    return F.cross_entropy(logits.flatten(2), holders, reduction="sum", ignore_index=UNKNOWN) / holders.numel()


def _holders(cells: Tensor) -> Tensor:
    """int64 [N, H * W] of cells [N, 2 * H * W]; UNKNOWN where a game has no final board."""
    mine, theirs = cells.chunk(2, 1)
    holders = torch.where(mine > 0, MINE, torch.where(theirs > 0, THEIRS, NOBODY))
    return torch.where(cells.any(1, keepdim=True), holders, UNKNOWN)
