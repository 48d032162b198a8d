"""Ctrl-C and the processes that this process starts: a terminal sends it to all, and only the parent handles it."""

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Block SIGINT in this thread: a process that is started meanwhile inherits the mask, and never sees Ctrl-C.

    Windows has no masks; there the new process calls `leave_ctrl_c_to_the_parent`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_ctrl_c_to_the_parent() -> None:
    """Ignore SIGINT in this process, if this is its main thread. It has no effect where the mask is inherited."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def die_with_parent(number: int = getattr(signal, "SIGKILL", signal.SIGTERM)) -> None:
    """Have the kernel send this process a signal when the parent's thread that started it ends (Linux).

    For a new process before it runs its program. It has no effect on other systems.
    """
    pr_set_pdeathsig = 1
    getattr(ctypes.CDLL(None), "prctl", lambda *_: 0)(pr_set_pdeathsig, number)
