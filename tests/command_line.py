"""The `lab` command in a process of its own."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def launch(*arguments: str | Path, module: str = "lab") -> subprocess.Popen[str]:
    """`lab ARGUMENTS` with its output readable; `module` is what `python -m` runs in its place."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lab(*arguments: str | Path, code: int = 0, module: str = "lab") -> str:
    """Run `lab ARGUMENTS` to its end, expecting the exit code; returns both outputs."""
    process = launch(*arguments, module=module)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == code, output
    return output


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Return once `condition` is true; fails after 60 s or when the process ends first."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)
