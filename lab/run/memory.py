"""Memory of this process and of the machine, on Linux, macOS and Windows."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_CGROUPS = (
    # (folder, limit, use, part of the use that is given back first), of version 2 and version 1, in bytes, as a
    # container sees its own group
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def memory_mb() -> dict[str, float]:
    """Peak memory so far, by metric name; without those that this system does not tell."""
    memory = {}
    if (peak := peak_process_mb()) is not None:
        memory["system/process_memory_mb"] = peak
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        memory["system/device_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    return memory


def peak_process_mb() -> float | None:
    """Peak resident memory of this process in MB; None where the system does not tell."""
    # Before getrusage, whose value begins with that of the parent process on Linux.
    if (kibibytes := _from_proc("/proc/self/status", "VmHWM")) is not None:
        return kibibytes * 1024 / 1e6
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return _windows_peak_mb()


def available_mb() -> float | None:
    """Memory of the machine, or of the container if that is less, in MB that a new process can still use.

    On macOS all memory of the machine, as only privileged calls tell more. None where the system does not tell.
    """
    found = [value for value in (_machine_mb(), _container_mb()) if value is not None]
    return min(found, default=None)


def free_mb(device: torch.device) -> float | None:
    """Free memory in MB of a GPU that has its own, else of the machine as in `available_mb`."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 1e6
    return available_mb()


def _machine_mb() -> float | None:
    if (kibibytes := _from_proc("/proc/meminfo", "MemAvailable")) is not None:
        return kibibytes * 1024 / 1e6
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    except (AttributeError, OSError, ValueError):  # Windows has no os.sysconf
        return _windows_available_mb()


def _from_proc(path: str, key: str) -> int | None:
    """The number of the line `key:` of a file of Linux; None elsewhere."""
    return _number_of(path, f"{key}:")


def _number_of(path: str, word: str) -> int | None:
    """The number after the first word of the line that begins with it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return next(int(line.split()[1]) for line in file if line.split()[:1] == [word])
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _container_mb() -> float | None:
    for folder, limit, used, reclaimable in _CGROUPS:
        group = Path(folder)
        try:
            # ValueError: the word "max" of a group without a limit.
            most, use = (int((group / name).read_text("ascii")) for name in (limit, used))
        except (OSError, ValueError):
            continue
        # The use includes files in the page cache; without them it is the working set by which Kubernetes evicts.
        cached = _number_of(str(group / "memory.stat"), reclaimable) or 0
        return max(0, most - max(0, use - cached)) / 1e6
    return None


class _ProcessMemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of psapi.h."""

    _fields_ = (
        ("cb", ctypes.c_uint32),
        ("page_fault_count", ctypes.c_uint32),
        ("peak_working_set_size", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 7),
    )


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of sysinfoapi.h."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("memory_load", ctypes.c_uint32),
        ("total_physical", ctypes.c_uint64),
        ("available_physical", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 5),
    )


def _kernel32() -> Any:
    """The Windows library; None elsewhere."""
    load = getattr(ctypes, "WinDLL", None)
    return None if load is None else load("kernel32")


def _windows_peak_mb() -> float | None:
    library = _kernel32()
    if library is None:
        return None
    counters = _ProcessMemoryCounters(cb=ctypes.sizeof(_ProcessMemoryCounters))
    library.GetCurrentProcess.restype = ctypes.c_void_p
    library.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
    found = library.K32GetProcessMemoryInfo(library.GetCurrentProcess(), ctypes.addressof(counters), counters.cb)
    return counters.peak_working_set_size / 1e6 if found else None


def _windows_available_mb() -> float | None:
    library = _kernel32()
    if library is None:
        return None
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    library.GlobalMemoryStatusEx.argtypes = (ctypes.c_void_p,)
    found = library.GlobalMemoryStatusEx(ctypes.addressof(status))
    return status.available_physical / 1e6 if found else None
