"""The `lab` command in a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Runs the command line, and sends itself a signal at an audit event of Python whose first argument has some text.
_INTERRUPTED = """
import os, signal, sys
number, event, text, module, left = int(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
def send(name, given):
    global left
    if name == event and left and given and text in str(given[0]):
        left -= 1
        os.kill(os.getpid(), number)
if event == "exit":
    import atexit
    atexit.register(lambda: os.kill(os.getpid(), number))
else:
    sys.addaudithook(send)
sys.argv = [module, *sys.argv[6:]]
from importlib import import_module
sys.exit(import_module(module).main())
"""


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


def interrupted(
    number: signal.Signals, event: str, text: str, *arguments: str | Path, module: str = "lab.cli.main", times: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run `lab ARGUMENTS`; at an audit event of Python about something with this text, it gets the signal.

    event: "import" of a module, "open" of a file, or "exit", when the command is done. times: how often at most.
    """
    given = [str(int(number)), event, text, module, str(times), *map(str, arguments)]
    return subprocess.run([sys.executable, "-c", _INTERRUPTED, *given], cwd=ROOT, capture_output=True, text=True)
