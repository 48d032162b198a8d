"""A signal ends a command with one line and the exit code of shells, and leaves no partial file."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from tests.command_line import ROOT, interrupted
from tests.lab.small_classifier import preset

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # it is ignored under nohup, by child processes too
    SIGNALS.append(signal.SIGHUP)
COMMAND = """
import os, signal, sys, time
from lab.cli.main import main
import lab.cli.root
lab.cli.root.run = lambda arguments: command()
def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python's handler runs between two instructions
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", str(preset(folder)), "--runs-dir", str(folder), "--name", "run"]) == 0
    return folder / "run"


def run_command(command: str) -> subprocess.CompletedProcess[str]:
    """Run `lab` with a function `command` in place of all its verbs."""
    code = f"{COMMAND}{command}\nsys.exit(main())"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=buffered, capture_output=True, text=True, timeout=30
    )


def assert_stopped(code: int, errors: str, number: signal.Signals) -> None:
    assert code == 128 + number, errors
    assert errors.strip().splitlines() == [f"lab: stopped by {number.name}"]


def test_the_entry_point_imports_little_before_it_handles_signals() -> None:
    code = "import sys; before = set(sys.modules); import lab.cli.main; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {
        *(
            "atexit",
            "lab",
            "lab.cli",
            "lab.cli.main",
            "lab.cli.signals",
            "__future__",
            "signal",
            "enum",
            "types",
            "functools",
        ),
        *("operator", "_operator", "collections", "_collections", "keyword", "itertools", "reprlib", "_functools"),
    }


@pytest.mark.parametrize(
    ("number", "module"), list(zip(SIGNALS, ["typer", "lab.config.registry", "rich"], strict=False))
)
def test_while_the_command_line_is_imported(number: signal.Signals, module: str) -> None:
    done = interrupted(number, "import", module, "list")
    assert_stopped(done.returncode, done.stderr, number)
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["torch", "torch.nn", "pydantic", "matplotlib", "safetensors"])
def test_while_packages_are_imported(module: str, run: Path, tmp_path: Path) -> None:
    done = interrupted(signal.SIGINT, "import", module, "eval", run)
    assert_stopped(done.returncode, done.stderr, signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_at_exit(number: signal.Signals) -> None:
    done = run_command(f"import atexit; atexit.register(send, {number:d})\ndef command(): print('done'); return 0")
    assert_stopped(done.returncode, done.stderr, number)
    assert done.stdout == "done\n"


@pytest.fixture
def signal_at() -> Iterator[Callable[..., None]]:
    """Lets this process get a signal when it opens a file whose path has a text."""
    awaited: list[tuple[str, int]] = []

    def audit(event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and awaited and awaited[-1][0] in str(given[0]):
            os.kill(os.getpid(), awaited.pop()[1])

    sys.addaudithook(audit)  # for good; it does nothing after the test
    yield lambda text, number: awaited.append((text, number))
    awaited.clear()


def test_an_export_leaves_no_file(
    run: Path, tmp_path: Path, signal_at: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    signal_at(f"{tmp_path}/", signal.SIGINT)
    code = main(["export", str(run), "--out", str(tmp_path / "x.onnx")])
    assert_stopped(code, capfd.readouterr().err, signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


def test_an_export_over_a_file_leaves_that_file(run: Path, tmp_path: Path, signal_at: Callable[..., None]) -> None:
    (tmp_path / "x.onnx").write_text("mine")
    signal_at(f"{tmp_path}/.x", signal.SIGTERM)
    assert main(["export", str(run), "--out", str(tmp_path / "x.onnx"), "--overwrite"]) == 143
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    assert (tmp_path / "x.onnx").read_text() == "mine"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_the_command_at_once_if_it_is_ctrl_c(number: signal.Signals) -> None:
    done = run_command(
        "def command():\n"
        "    try:\n"
        "        send(signal.SIGINT)\n"
        "    finally:\n"
        f"        send({number:d})\n"
        "        print('cleaned up')\n"
    )
    assert_stopped(done.returncode, done.stderr, signal.SIGINT)
    assert done.stdout == ("" if number == signal.SIGINT else "cleaned up\n")


def test_an_interruption_that_a_destructor_swallows_arrives_later() -> None:
    done = run_command(
        "class Swallowing:\n"
        "    def __del__(self):\n"
        "        send(signal.SIGTERM)\n"
        "def command():\n"
        "    Swallowing()\n"
        "    time.sleep(60)\n"
    )
    assert_stopped(done.returncode, done.stderr, signal.SIGTERM)


def test_an_error_that_a_package_makes_of_an_interruption_is_none() -> None:
    done = run_command(
        "def command():\n"
        "    try:\n"
        "        send(signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        "        raise ImportError('KeyboardInterrupt: <EMPTY MESSAGE>')\n"
    )
    assert_stopped(done.returncode, done.stderr, signal.SIGINT)


def test_an_interruption_of_code_that_c_runs_keeps_the_exit_code(tmp_path: Path) -> None:
    # `python -m` notes that C code was interrupted in code that it ran, and would end itself by SIGINT.
    (tmp_path / "program.py").write_text(
        f"{COMMAND}\n"
        "import ctypes\n"
        "def command():\n"
        "    run = ctypes.pythonapi.PyRun_String\n"
        "    run.restype, run.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.c_int, *[ctypes.py_object] * 2]\n"
        f"    run(b'send({signal.SIGTERM:d})', 257, globals(), globals())\n"
        "sys.exit(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "program"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert_stopped(done.returncode, done.stderr, signal.SIGTERM)


def test_a_command_that_answers_ctrl_c_itself_does_so() -> None:
    done = run_command(
        "def command():\n"
        "    try:\n"
        "        send(signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        "        print('goodbye')\n"
        "        return 0\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "goodbye\n", "")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    done = run_command("signal.signal(signal.SIGINT, signal.SIG_IGN)\ndef command(): return send(signal.SIGINT) or 0")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_calls_main_keeps_its_handlers() -> None:
    before = [signal.getsignal(number) for number in SIGNALS], sys.unraisablehook
    assert main(["--version"]) == 0
    assert ([signal.getsignal(number) for number in SIGNALS], sys.unraisablehook) == before
