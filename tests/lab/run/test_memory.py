"""Peak and available memory in MB, in the unit of each system."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.run import memory
from lab.run.bench import peak_memory_mb


@pytest.fixture
def without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system other than Linux."""
    monkeypatch.setattr(memory, "_from_proc", lambda path, key: None)


def usage(monkeypatch: pytest.MonkeyPatch, maxrss: int) -> None:
    fake = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=maxrss))
    monkeypatch.setattr(memory, "resource", fake)


@pytest.mark.parametrize(("platform", "maxrss"), [("darwin", 500_000_000), ("freebsd14", 500_000_000 // 1024)])
def test_the_peak_is_in_mb_in_the_unit_of_the_system(
    monkeypatch: pytest.MonkeyPatch, without_proc: None, platform: str, maxrss: int
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    usage(monkeypatch, maxrss)
    assert memory.memory_mb()["system/process_memory_mb"] == pytest.approx(500, rel=1e-4)
    assert peak_memory_mb() == pytest.approx(500, rel=1e-4)


class Windows:
    """The calls of kernel32 that answer 300 MB at the peak and 7 GB available."""

    class GetCurrentProcess:
        def __new__(cls) -> Any:
            return ctypes.c_void_p(-1).value

    class K32GetProcessMemoryInfo:
        def __new__(cls, process: int, address: int, size: int) -> Any:
            assert size == (72 if ctypes.sizeof(ctypes.c_void_p) == 8 else 40)  # the size in psapi.h
            memory._ProcessMemoryCounters.from_address(address).peak_working_set_size = 300_000_000
            return 1

    class GlobalMemoryStatusEx:
        def __new__(cls, address: int) -> Any:
            status = memory._MemoryStatus.from_address(address)
            assert status.length == 64  # the size in sysinfoapi.h
            status.available_physical = 7_000_000_000
            return 1


def test_windows_has_neither_resource_nor_sysconf(monkeypatch: pytest.MonkeyPatch, without_proc: None) -> None:
    monkeypatch.setattr(memory, "resource", None)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: Windows, raising=False)
    assert memory.peak_process_mb() == 300
    assert memory.available_mb() == 7000


def test_a_system_that_does_not_tell_has_no_metric_and_no_number(
    monkeypatch: pytest.MonkeyPatch, without_proc: None
) -> None:
    monkeypatch.setattr(memory, "resource", None)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.delattr(ctypes, "WinDLL", raising=False)
    monkeypatch.setattr(memory, "_CGROUPS", ())
    assert memory.memory_mb() == {}
    assert peak_memory_mb() is None and memory.available_mb() is None


@pytest.mark.parametrize("group", memory._CGROUPS, ids=["version 2", "version 1"])
def test_a_container_has_what_its_limit_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, group: tuple[str, ...]
) -> None:
    monkeypatch.setattr(memory, "_CGROUPS", ((str(tmp_path), *group[1:]),))
    limit, used = tmp_path / group[1], tmp_path / group[2]
    limit.write_text("max\n", encoding="ascii")
    used.write_text("2000000\n", encoding="ascii")
    machine = memory.available_mb()
    assert machine is not None and machine > 50
    limit.write_text("52000000\n", encoding="ascii")
    assert memory.available_mb() == 50
    used.write_text("51000000\n", encoding="ascii")
    assert memory.available_mb() == 1
    # Files in the page cache are given back first.
    stat = "file 44000000\ninactive_file 30000000\nactive_file 1\ntotal_inactive_file 30000000\n"
    (tmp_path / "memory.stat").write_text(stat, encoding="ascii")
    assert memory.available_mb() == 31
    used.write_text("2000000\n", encoding="ascii")  # read before the rest
    assert memory.available_mb() == 52


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_of_a_new_process_is_its_own() -> None:

    script = "from lab.run.memory import peak_process_mb; print(peak_process_mb())"
    ballast = b"x" * 900_000_000  # getrusage would report it for the child as well
    peak = float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)
    assert 10 < peak < 700 and len(ballast)
