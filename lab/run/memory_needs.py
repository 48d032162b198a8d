"""The memory that a run will need, by its parts, compared with what is free before anything large is allocated.

Networks are built on the meta device, which has shapes and no values, and one forward pass there tells what a backward
pass keeps. The estimates are within a factor of two of the tensors of a run; Python and its libraries come on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.run.memory import available_mb, free_mb
from lab.train.config import OptimizerConfig
from lab.train.device import Device

_MOMENTS = {"adamw": 2, "adam": 2, "sgd": 1, "muon": 2}  # muon: 1 of most weights, 2 of the others, and temporaries
_BACKWARD = 1.3  # gradients of activations beside what is kept


@dataclass(frozen=True)
class Need:
    """A part of a run's memory. what: in words. size: bytes. reduce_with: the keys that make it smaller."""

    what: str
    size: float
    reduce_with: str
    on_device: bool = True


def weights(network: nn.Module, optimizer: OptimizerConfig, *, copies: int = 0, reduce_with: str) -> Need:
    """Weights, gradients and the state of the optimizer; copies: further copies of the weights, such as an EMA."""
    size = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    return Need("the network and its optimizer", size * (2 + _MOMENTS[optimizer.optimizer] + copies), reduce_with)


def activations(network: nn.Module, forward: Callable[[], Tensor], device: Device, *, reduce_with: str) -> Need:
    """What a training step keeps between its forward and backward pass.

    forward: a forward pass of a micro-batch through the network, both on the meta device.
    """
    size = saved_bytes(network, forward) * _BACKWARD
    return Need("the activations of a training step", size / (2 if device.precision == "bf16" else 1), reduce_with)


def saved_bytes(network: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes of the tensors that autograd saves in a forward pass, without the parameters."""
    found: dict[int, torch.UntypedStorage] = {}  # the storages are held: their numbers would be used again
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage._cdata] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = forward()
    held = outputs.untyped_storage()
    found[held._cdata] = held
    return sum(storage.nbytes() for number, storage in found.items() if number not in own)


def check(needs: Sequence[Need], device: Device) -> None:
    """Raise UserError if the needs exceed the free memory of the machine or of the device."""
    separate = device.device.type == "cuda"
    check_fits([need for need in needs if not (separate and need.on_device)], available_mb(), "this machine")
    if separate:
        check_fits([need for need in needs if need.on_device], free_mb(device.device), str(device.device))


def check_fits(needs: Sequence[Need], room_mb: float | None, where: str) -> None:
    """Raise UserError, one line with the largest part and its keys, if the needs exceed the free memory.

    room_mb: the free memory; None where it is unknown, which refuses nothing.
    """
    total = sum(need.size for need in needs) / 1e6
    if room_mb is None or total <= room_mb:
        return
    largest = max(needs, key=lambda need: need.size)
    raise UserError(
        f"this run needs about {total:,.0f} MB and {where} has {room_mb:,.0f} MB free: {largest.what} would take "
        f"{largest.size / 1e6:,.0f} MB; lower {largest.reduce_with}"
    )
