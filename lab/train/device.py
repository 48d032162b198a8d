"""Device, precision and number of CPU threads of a run."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from typing import Literal

import torch

from lab.errors import UserError

Precision = Literal["fp32", "bf16"]
Form = Literal["fused", "plain"]
CHOICES = "auto, cpu, cuda, cuda:N or mps"


@dataclass(frozen=True)
class Device:
    """Device, precision and number of CPU threads of one torch operation.

    form: of inference, fused operations or torch modules; None is the fused one where there is one.
    automatic: precision=auto on a CPU, which is fp32 unless a measurement says otherwise
    (`lab.train.measured_precision`).
    """

    device: torch.device
    precision: Precision
    threads: int
    form: Form | None = None
    automatic: bool = False


def resolve(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Device:
    """Resolve the settings of a configuration; `apply` then sets up the process.

    `device`: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda", "cuda:N" or "mps" (the GPU of a Mac).
    `precision`: "auto" (bf16 on CUDA GPUs that have it; on a CPU fp32, open to measurement), "fp32" or "bf16".
    `threads`: None keeps torch's choice. Raises UserError for an unknown or absent device, and for bf16 on a GPU
    without it.
    """
    target = _resolve_device(device)
    if threads is not None and threads < 1:
        raise UserError(f"threads={threads} is not positive; give a number of CPU threads or leave it out")
    automatic = target.type == "cpu" and precision == "auto"
    chosen = _resolve_precision(precision, target)
    return Device(target, chosen, threads or torch.get_num_threads(), automatic=automatic)


def has_mps() -> bool:
    """Whether this torch can use the GPU of a Mac."""
    return torch.backends.mps.is_available()


def apply(device: Device) -> Device:
    """Set threads, CUDA device and float32 precision (TF32 only with bf16) of this process; return `device`."""
    torch.set_num_threads(device.threads)
    if device.device.type == "cpu":
        _keep_freed_memory()
    allow_tf32 = device.precision == "bf16"
    torch.set_float32_matmul_precision("high" if allow_tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = allow_tf32
    if device.device.type == "cuda" and device.device.index is not None:
        torch.cuda.set_device(device.device)  # the default of calls without a device, such as memory statistics
    return device


def _keep_freed_memory() -> None:
    """Make glibc, if it is used, keep freed memory instead of returning it to the kernel.

    By default blocks of 32 MB and more are mapped again for every operation and cleared page by page, which takes a
    fifth of a training step on large batches. The peak memory of the process stays the same.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(mmap_max, 0)
        library.mallopt(trim_threshold, 2**31 - 1)


def autocast(device: Device) -> contextlib.AbstractContextManager[object]:
    """Context of forward passes: bfloat16 autocast if the precision is bf16, else no effect."""
    if device.precision == "bf16":
        return torch.autocast(device.device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _resolve_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    target: torch.device | None = None
    with contextlib.suppress(RuntimeError):  # torch's message lists dozens of backends
        target = torch.device(name)
    if target is None or target.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"device {name!r} is unknown; use {CHOICES}")
    if target.type == "mps":
        if not has_mps():
            raise UserError(
                f"device {name!r} is absent: it needs a Mac with Apple silicon and its torch; use cpu or auto"
            )
        if target.index:
            raise UserError(f"device {name!r} is absent: a Mac has one GPU; use mps")
        return torch.device("mps")
    if target.type == "cpu" and target.index:
        raise UserError(f"device {name!r} is absent: the CPU is one device; use cpu, and threads=N for its cores")
    if target.type == "cpu":
        return torch.device("cpu")
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UserError(f"device {name!r} is absent ({count} CUDA devices found); use cpu or auto")
    return target


def _resolve_precision(name: str, device: torch.device) -> Precision:
    if name not in ("auto", "fp32", "bf16"):
        raise UserError(f"precision {name!r} is unknown; use auto, fp32 or bf16")
    if device.type == "cpu":
        # Several times faster than fp32 on CPUs with AMX, several times slower on others.
        return "bf16" if name == "bf16" else "fp32"
    if device.type == "mps":
        if name == "bf16":
            raise UserError("precision=bf16 is for CUDA GPUs; use fp32 with device=mps")
        return "fp32"
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    if name == "bf16" and not has_bf16:
        raise UserError("precision=bf16: this GPU has no bfloat16 arithmetic; use precision=fp32")
    return "bf16" if has_bf16 and name != "fp32" else "fp32"
