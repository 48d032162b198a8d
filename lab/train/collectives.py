"""Data parallelism: ranks that each compute a share of one global batch, and so stay equal without being compared.

Every rank is a process of one torch.distributed group (gloo on CPUs, NCCL on GPUs). Without a group there is one rank,
and nothing here does anything. Gradients are summed after the backward pass rather than by hooks within it, so that
penalties that differentiate twice need no special case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

LEFT = "the leading rank has left"
_BUCKET = 2**24  # values in one reduction: 64 MB, besides the gradients themselves


class Left(Exception):
    """The leading rank trains no longer."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together. Every method but `rows` is called by all of them."""

    rank: int = 0
    size: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this rank owns the run directory."""
        return self.rank == 0

    def rows(self, count: int, group: int = 1) -> slice:
        """This rank's share of a batch of `count`: neighbours, whole groups of `group`, none where there are too few.

        Shares differ by one group at most, and a last short group is one by itself.
        """
        groups = -(-count // group)
        start, stop = (min(count, group * (groups * at // self.size)) for at in (self.rank, self.rank + 1))
        return slice(start, stop)

    def all_reduce_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks, bit for bit the same on all; one dtype and device."""
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            pieces = flat.split([tensor.numel() for tensor in bucket])
            for tensor, piece in zip(bucket, pieces, strict=True):
                tensor.detach().copy_(piece.view(tensor.shape))

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the leading rank's, of the same shape and dtype; contiguous ones on one device."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def broadcast_object(self, value: Any) -> Any:
        """The leading rank's value, a plain one or nested tensors, on every rank.

        Raises Left on the others when the leading rank has left them instead.
        """
        if self.size == 1:
            return value
        box = [value if self.is_rank_zero else None]
        dist.broadcast_object_list(box)
        if box[0] == LEFT and not self.is_rank_zero:
            raise Left
        return box[0]

    def all_gather_object(self, value: str) -> list[str]:
        """Every rank's value, on every rank."""
        if self.size == 1:
            return [value]
        values = [""] * self.size
        dist.all_gather_object(values, value)
        return values


def ranks() -> Ranks:
    """Of this process's group; one rank where it is in none."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def gradients(net: nn.Module) -> list[Tensor]:
    """Of the parameters in use."""
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def summed(x: Tensor) -> Tensor:
    """Sum over the ranks, differentiable: each rank's gradient is the sum of what all of them make of the result."""
    return _Sum.apply(x) if ranks().size > 1 else x


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0].contiguous())


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    buckets: list[list[Tensor]] = [[]]
    held = 0
    for tensor in tensors:
        if held and held + tensor.numel() > _BUCKET:
            buckets.append([])
            held = 0
        buckets[-1].append(tensor)
        held += tensor.numel()
    return [bucket for bucket in buckets if bucket]
