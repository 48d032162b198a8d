"""A program that ends a local Ray cluster: `python cluster_end.py FOLDER [--keep]`, started by `local_cluster`.

It waits until its input ends, that is for the end of the process that started the cluster. Then it kills the processes
of the cluster that remain, and removes the folder. It imports the standard library alone, to start fast.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

_GRACE_S = 2.0  # Ray's processes end by themselves, two of them after minutes
_POLL_S = 0.05


def main(folder: Path, keep: bool) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # it ends with the cluster, and not before
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _GRACE_S
    while processes(folder) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for _ in range(3):  # one that was just starting another
        for pid in processes(folder):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def processes(folder: Path) -> list[int]:
    """Ray's processes with an open file in the folder. Linux alone; elsewhere none.

    Workers and agents replace their command line by `ray::NAME`, the other command lines name the folder. Neither is
    true of a program that is connected to the cluster, whose open log is in the folder as well.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = os.fsdecode((entry / "cmdline").read_bytes())
            if int(entry.name) == os.getpid() or not (command.startswith("ray::") or str(folder) in command):
                continue
            if any(_link(file).startswith(f"{folder}/") for file in (entry / "fd").iterdir()):
                found.append(int(entry.name))
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def _link(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:  # closed
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--keep" in sys.argv[2:])
