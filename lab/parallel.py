"""Data parallelism: ranks that each compute a share of one global batch, and so stay equal without being compared.

Every rank is a process of one torch.distributed group (gloo on CPUs, NCCL on GPUs). Without a group there is one rank,
and nothing here does anything. Gradients are summed after the backward pass rather than by hooks within it, so that
penalties that differentiate twice need no special case.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lab import seeds
from lab.errors import UserError
from lab.experiment import EvaluatesElsewhere, Evaluation, Experiment
from lab.metrics import Catalogue

_LEFT = "the leading rank has left"
_BUCKET = 2**24  # values in one reduction: 64 MB, besides the gradients themselves


class Left(Exception):
    """The leading rank trains no longer."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together. Every method but `rows` is called by all of them."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this rank owns the run directory."""
        return self.rank == 0

    def rows(self, count: int, group: int = 1) -> slice:
        """This rank's share of a batch of `count`: neighbours, whole groups of `group`, none where there are too few.

        Shares differ by one group at most, and a last short group is one by itself.
        """
        groups = -(-count // group)
        start, stop = (min(count, group * (groups * at // self.size)) for at in (self.rank, self.rank + 1))
        return slice(start, stop)

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks, bit for bit the same on all; one dtype and device."""
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            pieces = flat.split([tensor.numel() for tensor in bucket])
            for tensor, piece in zip(bucket, pieces, strict=True):
                tensor.detach().copy_(piece.view(tensor.shape))

    def spread_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the leading rank's, of the same shape and dtype; contiguous ones on one device."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def share(self, value: Any) -> Any:
        """The leading rank's value, a plain one or nested tensors, on every rank.

        Raises Left on the others when the leading rank has left them instead.
        """
        if self.size == 1:
            return value
        box = [value if self.leads else None]
        dist.broadcast_object_list(box)
        if box[0] == _LEFT and not self.leads:
            raise Left
        return box[0]

    def gather(self, value: str) -> list[str]:
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


@runtime_checkable
class SharesAPart(Protocol):
    """An experiment of which the other ranks have only a part."""

    def state_of_ranks(self) -> dict[str, Any]:
        """What they have of its state."""
        ...


class Leading:
    """The leading rank's experiment: to the run loop an ordinary one, whose iterations the other ranks do with it.

    They get its state before the first iteration, so that only this rank reads checkpoints. Leaving it lets them go;
    after an error that is not a person's to mend they are left to whoever started the ranks.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment, self._ranks, self._met = experiment, ranks(), False

    @property
    def progress(self) -> str:
        return self._experiment.progress

    @property
    def counters(self) -> Mapping[str, int]:
        return self._experiment.counters

    @property
    def catalogue(self) -> Catalogue:
        return self._experiment.catalogue

    def iterate(self) -> dict[str, float]:
        self._ranks.share(True)
        if not self._met:
            own = self._experiment
            state = own.state_of_ranks() if isinstance(own, SharesAPart) else own.state_dict()
            self._ranks.share({"experiment": _on_cpu(state), "random": seeds.capture()})
            self._met = True
        return self._experiment.iterate()

    def evaluate(self) -> Evaluation:
        return self._experiment.evaluate()

    @property
    def evaluating(self) -> int | None:
        return self._experiment.evaluating if isinstance(self._experiment, EvaluatesElsewhere) else None

    def late_evaluations(self) -> list[Evaluation]:
        return self._experiment.late_evaluations() if isinstance(self._experiment, EvaluatesElsewhere) else []

    def state_dict(self) -> dict[str, Any]:
        return self._experiment.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._experiment.load_state_dict(state)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, UserError | KeyboardInterrupt):
            self._ranks.share(_LEFT)


class Follower(Protocol):
    """What another rank has of an experiment: an `lab.experiment.Experiment` of its own, or a part of one."""

    def iterate(self) -> object:
        """Does its share of the leading rank's iteration."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what the leading rank's experiment has for it."""
        ...


def follow(experiment: Follower) -> None:
    """Do the iterations that the leading rank does, until it leaves."""
    mine, met = ranks(), False
    with contextlib.suppress(Left):
        while True:
            mine.share(None)
            if not met:
                state = mine.share(None)
                experiment.load_state_dict(state["experiment"])
                seeds.restore(state["random"])
                met = True
            # After a NaN the leading rank, which has seen the same numbers, says what becomes of the run.
            with contextlib.suppress(FloatingPointError):
                experiment.iterate()


def _on_cpu(state: Any) -> Any:
    """Nested state with its tensors on the CPU: a device's name means another device to another rank."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, Mapping):
        return {key: _on_cpu(value) for key, value in state.items()}
    return [_on_cpu(value) for value in state] if isinstance(state, list | tuple) else state
