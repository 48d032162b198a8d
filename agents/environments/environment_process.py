"""The program of a process that steps environments for `agents.environments.processes`."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np

from agents.environments.environments import Rows
from agents.environments.faults import described
from agents.environments.serial import SerialEnvironments
from agents.environments.shared_memory import SharedArrays, SharedMemory, copy_rows

COMMAND = b"c"
"""Announces a command; any other message is the number of a group, whose step is wanted."""


def serve(
    pipe: Connection, make: Callable[[], gym.Env[Any, Any]], shared: SharedMemory, shares: Sequence[slice], number: int
) -> None:
    """The loop of a process: steps its share of a group for each byte, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process saves and closes
    arrays = SharedArrays(shared)
    numbers = numbers_of(shares)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            environments = SerialEnvironments(make, len(numbers), numbers=numbers)
        except Exception as error:
            pipe.send((False, described(error)))
            return
        pipe.send((True, None))
        starts = np.cumsum([0, *(share.stop - share.start for share in shares)])
        while True:
            message = pipe.recv_bytes()
            if message == COMMAND:
                pipe.send(_obey(environments, arrays, shares, *pipe.recv()))
                continue
            group = message[0]
            share = shares[group]
            try:
                which = range(int(starts[group]), int(starts[group + 1]))
                step = environments.step(arrays.actions[share], which, arrays.rows.part(share))
            except (Exception, KeyboardInterrupt) as error:  # signals are ignored: the environment raised it
                pipe.send_bytes(described(error).encode())
                return
            arrays.reward[share], arrays.terminated[share] = step.reward, step.terminated
            arrays.truncated[share] = step.truncated
            found = slice(share.start, share.start + len(step.final_rows))
            arrays.finals[group, number] = len(step.final_rows)
            arrays.final_rows[found] = step.final_rows + share.start
            for name, array in step.final.items():
                arrays.final[name][found] = array
            pipe.send_bytes(b"d")


def _obey(
    environments: SerialEnvironments, arrays: SharedArrays, shares: Sequence[slice], command: str, value: Any
) -> tuple[bool, Any]:
    """Carry out a command; returns whether it succeeded, and the answer or the reason."""
    try:
        if command == "state":
            return True, environments.state_dict()
        if command == "load":
            environments.load_state_dict(value)
            return True, None
        own = Rows(environments.spaces.codec.empty(environments.count), np.ones_like(arrays.rows.mask))
        environments.reset(value, own)
        start = 0
        for share in shares:
            count = share.stop - share.start
            copy_rows(own, arrays.rows.part(share), slice(start, start + count), slice(None))
            start += count
        return True, None
    except Exception as error:
        return False, described(error)


def numbers_of(shares: Sequence[slice]) -> list[int]:
    """Numbers of the environments in some shares."""
    return [number for share in shares for number in range(share.start, share.stop)]
