"""CUDA tensors without data on a machine without a GPU, and modes that refuse what a GPU pays for.

`FakeTensorMode` of a CUDA build of torch computes shapes, types and devices of every operation and nothing else. An
operation on two devices raises there, and so does one whose shape depends on data: `.item()`, `bool(tensor)`,
`nonzero`, a mask as an index. Backward passes are out of reach: torch's engine for a device needs the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from agents.search import simulation
from lab.train.device import Device

CUDA = torch.device("cuda", 0)
FP32 = Device(CUDA, "fp32", 1)
BF16 = Device(CUDA, "bf16", 1)

# One mode for the process: tables that the code caches by device are tensors of one mode.
_MODE = FakeTensorMode(allow_non_fake_inputs=True)  # tables of the CPU that an earlier test made


class Transfer(AssertionError):
    """A copy between the host and the device."""


class NoTransfers(TorchDispatchMode):
    """Refuses copies between the CPU and the GPU, numbers of the host that become tensors on the device included.

    A CUDA graph cannot contain a copy from pageable memory of the host, and every copy to the host waits for the
    device.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = _device_types([*args, *(kwargs or {}).values()])
        result = func(*args, **(kwargs or {}))
        after = _device_types(result if isinstance(result, tuple | list) else [result])
        copies = ("aten._to_copy", "aten.copy_", "aten.index.Tensor", "aten.index_put", "aten.set_", "prims.device_put")
        if len(before | after) > 1 and str(func).startswith(copies):
            raise Transfer(f"{func} copies between the host and the device")
        return result


def _device_types(values: Any) -> set[str]:
    found: set[str] = set()
    for value in values:
        if isinstance(value, Tensor):
            found.add(value.device.type)
        elif isinstance(value, tuple | list):
            found |= _device_types(value)
    return found


@contextmanager
def fake_cuda(*, recurrent: bool = False) -> Iterator[None]:
    """All tensors made here are without data, on the device that they name; modules move as well.

    recurrent: for recurrent layers, whose kernels ask the driver even then; torch decomposes them instead.
    """
    with (
        enable_python_dispatcher() if recurrent else nullcontext(),
        _MODE,
        mock.patch.object(nn.Module, "_apply", _apply),
        mock.patch.object(Tensor, "__deepcopy__", _deep_copy),
        mock.patch.object(simulation, "has_triton", lambda device: False),
        torch.backends.cudnn.flags(enabled=False),
        # Autocast turns itself off where it finds no GPU.
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False),
        mock.patch("torch.cuda.is_bf16_supported", lambda *_, **__: True),
    ):
        yield


def _deep_copy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A copy of a tensor or parameter: torch's own would copy the mode as well."""
    copied = self.detach().clone()
    if isinstance(self, nn.Parameter):
        copied = nn.Parameter(copied, self.requires_grad)
    memo[id(self)] = copied
    return copied


def _apply(self: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`nn.Module._apply` with new parameters: torch's own swaps them, which it refuses for fake tensors."""
    for child in self.children() if recurse else ():
        child._apply(change)
    with torch.no_grad():
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = nn.Parameter(change(parameter.detach()), parameter.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = change(buffer)
    return self


def devices_of(module: nn.Module) -> set[str]:
    """Types of the devices of a module's parameters and buffers."""
    return {tensor.device.type for tensor in [*module.parameters(), *module.buffers()]}
