"""Data parallelism: every rank computes some rows of one global batch, and all take the same optimizer step.

Every rank is a process of one torch.distributed group (gloo on CPUs, NCCL on GPUs). Without a group there is one rank
and the collectives do nothing. Gradients are all-reduced after the backward pass and not by hooks within it: gradient
penalties, which differentiate twice, then need no special case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

STOP = "rank 0 has stopped training"
_BUCKET = 2**24  # values per all-reduce: a buffer of 64 MB


class Stopped(Exception):
    """Rank 0 has stopped training."""


@dataclass(frozen=True)
class Ranks:
    """The rank of this process and the number of ranks. All ranks must call every method except `rows`."""

    rank: int = 0
    size: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this rank owns the run directory."""
        return self.rank == 0

    def rows(self, count: int, group: int = 1) -> slice:
        """This rank's rows of a batch of `count`: contiguous, in whole groups of `group` rows, maybe none.

        The numbers of groups of two ranks differ by at most one. The last group may be shorter.
        """
        groups = -(-count // group)
        start, stop = (min(count, group * (groups * at // self.size)) for at in (self.rank, self.rank + 1))
        return slice(start, stop)

    def all_reduce_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks, bit for bit equal on all; all of one dtype and device."""
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            pieces = flat.split([tensor.numel() for tensor in bucket])
            for tensor, piece in zip(bucket, pieces, strict=True):
                tensor.detach().copy_(piece.view(tensor.shape))

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of rank 0. Tensors are contiguous, with equal shapes and dtypes on all ranks."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def broadcast_object(self, value: Any) -> Any:
        """The value of rank 0 (plain values and tensors, nested) on every rank.

        Raises Stopped on the other ranks when rank 0 sends STOP.
        """
        if self.size == 1:
            return value
        values = [value if self.is_rank_zero else None]
        dist.broadcast_object_list(values)
        if values[0] == STOP and not self.is_rank_zero:
            raise Stopped
        return values[0]

    def all_gather_object(self, value: str) -> list[str]:
        """The values of all ranks, in order, on every rank."""
        if self.size == 1:
            return [value]
        values = [""] * self.size
        dist.all_gather_object(values, value)
        return values


def ranks() -> Ranks:
    """The rank of this process in its group; a single rank without a group."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum over the ranks, differentiable: the gradient of x is the sum over the ranks of the result's gradients."""
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
