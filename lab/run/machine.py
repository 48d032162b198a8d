"""Name of this machine's processor, for records of measurements."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

_EXTENSIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 bf16", "avx512f": "AVX-512", "avx2": "AVX2"}


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The GPU's name where there is one, else the processor's, its number of cores and its widest vector extension."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    fields: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags", "").split()
    extension = next((text for flag, text in _EXTENSIONS.items() if flag in flags), "")
    name = fields.get("model name") or platform.processor() or platform.machine()
    return ", ".join(filter(None, [name, f"{os.cpu_count()} cores", extension]))
