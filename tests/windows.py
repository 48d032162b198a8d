"""`python -m tests.windows COMMAND...`: run `lab` commands in one process as if on Windows.

What Python lacks there is missing, a directory cannot be opened, a rename does not replace, and a file that this
process has open is neither renamed nor removed. The libraries are imported first: they have forms for Windows of their
own. Commands are separated by ";". Only Linux tells which files are open; elsewhere the commands run as they are.
"""

import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES: tuple[str, ...] = (
    "crypt",
    "curses",
    "fcntl",
    "grp",
    "nis",
    "ossaudiodev",
    "pty",
    "pwd",
    "readline",
    "resource",
    "spwd",
)
MODULES += ("syslog", "termios", "tty")
SIGNALS: tuple[str, ...] = ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2")
SIGNALS += ("alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigpending", "sigwait", "siginterrupt")
CALLS: tuple[str, ...] = (
    "fork",
    "getloadavg",
    "getpgid",
    "getpriority",
    "killpg",
    "mkfifo",
    "nice",
    "pread",
    "pwrite",
    "preadv",
)
CALLS += ("sched_getaffinity", "setsid", "sync", "sysconf", "uname", "wait3", "posix_fadvise")
LIBRARIES = (
    "asyncio",
    "multiprocessing.pool",
    "concurrent.futures.process",
    "filelock",
    "torch",
    "rich.live",
    "rich.progress",
)


def become_windows(libraries: tuple[str, ...] = LIBRARIES) -> None:
    """Restrict this process; there is no way back."""
    for name in libraries:
        importlib.import_module(name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in ((signal, SIGNALS), (os, CALLS)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    # Without a name it would be removed while open.
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # type: ignore[assignment]
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    _guard()


def _guard() -> None:
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in ("open", "rename", "replace", "unlink")}
    real["rmdir"] = os.rmdir

    def closed(path: Any) -> None:
        inside = os.path.realpath(os.fspath(path))
        if os.path.islink(path):
            return
        for name in _open_files(real["open"]):
            if name == inside or name.startswith(inside + os.sep):
                raise PermissionError(13, f"the process has {name} open", str(path))

    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if isinstance(path, str | bytes | os.PathLike) and os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return int(real["open"](path, flags, mode, dir_fd=dir_fd))

    def rename(source: Any, target: Any, **options: Any) -> None:
        closed(source)
        if os.path.lexists(target):
            raise FileExistsError(17, "File exists", str(target))
        real["rename"](source, target, **options)

    def replace(source: Any, target: Any, **options: Any) -> None:
        closed(source)
        if os.path.lexists(target):
            closed(target)
            if os.path.isdir(target):
                raise PermissionError(13, "Permission denied", str(target))
        real["replace"](source, target, **options)

    def unlink(path: Any, **options: Any) -> None:
        closed(path)
        real["unlink"](path, **options)

    os.open, os.rename, os.replace, os.unlink, os.remove = open_, rename, replace, unlink, unlink  # type: ignore[assignment]


def _open_files(open_: Callable[..., Any]) -> set[str]:
    """Files that this process has open or mapped."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{entry}"))
        except OSError:
            continue
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        name = line[line.find("/") :] if "/" in line else ""
        found.add(name)
    return found - {""}


def main() -> int:
    """Run the commands, or import every given module after --import; the exit code of the first that fails."""
    if sys.platform == "linux":
        become_windows()
    if sys.argv[1:2] == ["--import"]:
        for name in sys.argv[2:]:
            importlib.import_module(name)
        return 0
    from lab.cli.main import main as lab

    command: list[str] = []
    for word in [*sys.argv[1:], ";"]:
        if word != ";":
            command.append(word)
        else:
            code, command = lab(command), []
            gc.collect()  # mapped files: another command is another process
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
