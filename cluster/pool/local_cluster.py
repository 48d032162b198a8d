"""What a local Ray cluster is started in: a folder of this user, the loopback interface, and an end of its own.

Ray by itself keeps logs and sockets of a local cluster in a folder that all users can write, listens on all network
interfaces, at the ports of its metrics without a token, and leaves two of its processes running for minutes after the
process that started it was killed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FOLDER_VARIABLE = "RAY_TMPDIR"  # Ray's own
_LOOPBACK_VARIABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_END_TIMEOUT_S = 15.0


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """The folder of a local cluster, which only this user can enter; processes of Ray that outlive it are killed.

    A process of its own waits for the end of this one, so that a kill -9 leaves neither processes nor files. The folder
    is in $RAY_TMPDIR and is kept if that is set, as it holds Ray's logs. On entry no process of Ray may run yet, on
    exit it has been shut down.
    """
    chosen = os.environ.get(_FOLDER_VARIABLE)
    if chosen:
        Path(chosen).mkdir(parents=True, exist_ok=True)
    # Short: the paths of sockets have at most 107 characters. Ray opens the folders below to all users.
    place = chosen or ("/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="rivals-ray-", dir=place))
    program = Path(__file__).with_name("cluster_end.py")
    command = [sys.executable, "-I", str(program), str(folder), *(["--keep"] if chosen else [])]
    # Not in this process group: Ctrl-C must not end it. It notices the end of this process by that of its input.
    end = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield folder / "ray"
    finally:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            end.communicate(timeout=_END_TIMEOUT_S)


@contextlib.contextmanager
def loopback_environment() -> Iterator[None]:
    """While entered, processes that this one starts use the loopback interface, unless the environment says otherwise.

    Entered as long as the cluster runs: whatever connects to it must make the same choice.
    """
    # Ray's switch for systems whose firewall asks about every port. The address 127.0.0.1 given to `ray.init` would be
    # replaced by that of a network interface.
    added = {_LOOPBACK_VARIABLE: "0"}
    if sys.platform == "linux":
        # Of the gradients that ranks exchange: gloo would choose the interface by the name of the machine.
        added["GLOO_SOCKET_IFNAME"] = "lo"
    added = {name: value for name, value in added.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """While entered, Ray starts nodes at 127.0.0.1, where nothing listens to other machines."""
    from ray._private import ray_constants

    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def own_signal_handlers() -> Iterator[None]:
    """While entered, Ray leaves the handler of SIGTERM as it is.

    Its own exits with 15 or 1 instead of 143, and without the checkpoint that a run saves first.
    """
    from ray._private import utils

    before: Any = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = before
