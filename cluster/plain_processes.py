"""Programs in independent processes that begin to work at the same time, for comparison with workers on Ray."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from lab.terminal.streams import say


def measure(function: str, arguments: Sequence[Sequence[str]], seconds: float) -> list[Any]:
    """What each process reports; one process per entry of `arguments`.

    function: "module:name" of a function of strings, which prepares its work, calls `wait_for_start`, works for the
    seconds that this returns, and calls `report`.
    """
    module, _, name = function.partition(":")
    program = f"import sys; from {module} import {name}; {name}(*sys.argv[1:])"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for given in arguments
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"a plain process ended with exit code {process.wait()}")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        found = []
        for process in processes:
            assert process.stdout is not None
            found.append(json.loads(process.stdout.readline()))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return found


def wait_for_start() -> float:
    """In a process, once it is prepared: wait for the others, and return the seconds to work."""
    say("ready")
    return float(sys.stdin.readline())


def report(found: Any) -> None:
    """In a process: what it has measured, as plain values."""
    say(json.dumps(found))
