"""Environments in processes of this machine, in two groups: one is stepped while the policy acts in the other.

Observations, rewards and actions lie in shared memory; a pipe to each process carries a byte per step. A process that
dies or hangs is replaced. Its environments begin new episodes, and the rows of the step that was lost say so.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.environments.environment_process import COMMAND, numbers_of, serve
from agents.environments.environments import Environments, Rows, Step, parts
from agents.environments.faults import close
from agents.environments.inspection import inspect
from agents.environments.shared_memory import SharedArrays, allocate, copy_rows
from lab.errors import UserError

_log = logging.getLogger(__name__)
_ATTEMPTS = 3
"""Times that a process may fail without the end of an episode between, before training ends."""
_START_TIMEOUT_S = 120.0


class _DiedError(UserError):
    """A process has died before it answered a command."""


@dataclass
class _Worker:
    """A process, its pipe, its rows in each group, and the groups whose step it is busy with or has lost."""

    process: BaseProcess
    pipe: Connection
    shares: tuple[slice, ...]
    busy: list[bool]
    lost: list[bool]
    failures: int = 0
    reason: str = ""
    """Why the process failed last."""


class ProcessEnvironments(Environments):
    """Environments stepped by processes, started with `spawn`, so that `make` must be importable there."""

    def __init__(
        self,
        make: Callable[[], gym.Env[Any, Any]],
        count: int,
        processes: int,
        *,
        groups: int = 2,
        timeout_s: float = 60.0,
    ) -> None:
        """timeout_s: after this time without an answer a process is replaced."""
        groups = min(groups, count // processes)
        env = make()
        self.spaces = inspect(env)
        close(env)
        self.count = count
        self.groups = tuple(parts(slice(0, count), groups))
        self._make, self._timeout_s = make, timeout_s
        self._context = multiprocessing.get_context("spawn")
        self._shared = allocate(self._context, self.spaces, count=count, groups=groups, processes=processes)
        self._arrays = SharedArrays(self._shared)
        shares = [list(parts(group, processes)) for group in self.groups]
        self._seed = self._restarts = 0
        self._workers: list[_Worker] = []
        for number in range(processes):
            self._workers.append(self._start(number, tuple(group[number] for group in shares)))
        for worker in self._workers:
            self._await_start(worker)

    def reset(self, seed: int, into: Rows) -> None:
        self._seed = seed
        for worker in self._workers:
            worker.busy, worker.lost = [False] * len(self.groups), [False] * len(self.groups)
            _order(worker, "reset", seed)
        for worker in self._workers:
            self._answer(worker)
        copy_rows(self._arrays.rows, into, slice(None), slice(None))

    def send(self, group: int, actions: NDArray[Any]) -> None:
        self._arrays.actions[self.groups[group]] = actions
        for worker in self._workers:
            if not worker.lost[group]:
                with contextlib.suppress(OSError):  # a dead process is found when its step is received
                    worker.pipe.send_bytes(bytes([group]))
                worker.busy[group] = True

    def receive(self, group: int, into: Rows) -> Step:
        for number, worker in enumerate(self._workers):
            if worker.busy[group] and not self._wait(worker, group):
                self._replace(number)
        rows, arrays = self.groups[group], self._arrays
        copy_rows(arrays.rows, into, rows, slice(None))
        lost = np.zeros(rows.stop - rows.start, np.bool_)
        final_rows, finals = [], []
        for number, worker in enumerate(self._workers):
            share = worker.shares[group]
            if worker.lost[group]:
                lost[share.start - rows.start : share.stop - rows.start] = True
                worker.lost[group] = False
                continue
            found = slice(share.start, share.start + int(arrays.finals[group, number]))
            final_rows.append(arrays.final_rows[found] - rows.start)
            finals.append({name: array[found] for name, array in arrays.final.items()})
        terminated, truncated = arrays.terminated[rows] & ~lost, arrays.truncated[rows] & ~lost
        return Step(
            reward=np.where(lost, 0.0, arrays.reward[rows]),
            terminated=terminated,
            truncated=truncated,
            valid=~lost,
            starts=terminated | truncated | lost,
            final_rows=np.concatenate([np.zeros(0, np.int64), *final_rows]),
            final={name: np.concatenate([part[name] for part in finals]) for name in arrays.final} if finals else {},
            lost=lost,
        )

    def state_dict(self) -> dict[str, Any]:
        states: list[Any] = [None] * self.count
        for worker in self._workers:
            _order(worker, "state", None)
            try:
                own = self._answer(worker)
            except UserError as error:  # the next step finds what is wrong, and replaces the process
                _log.warning("the state of environments cannot be saved: %s", error)
                return {}
            if not own:
                return {}
            numbers = numbers_of(worker.shares)
            for number, state in zip(numbers, own["environments"], strict=True):
                states[number] = state
        return {"environments": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for worker in self._workers:
            own = [state["environments"][number] for number in numbers_of(worker.shares)]
            _order(worker, "load", {"environments": own})
            self._answer(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()  # the process ends when it finds its pipe closed
        for worker in self._workers:
            worker.process.join(2.0)
            _end(worker.process)

    def _wait(self, worker: _Worker, group: int) -> bool:
        """Wait for a step; returns False if the process has died, failed or does not answer."""
        worker.busy[group] = False
        worker.reason = self._failure(worker)
        if worker.reason:
            _log.warning("%s: the process of environments is replaced", worker.reason)
            return False
        share = worker.shares[group]
        if self._arrays.terminated[share].any() or self._arrays.truncated[share].any():
            worker.failures = 0
        return True

    def _failure(self, worker: _Worker) -> str:
        """Wait for the answer to a step; returns why there is none, or ""."""
        try:
            if not worker.pipe.poll(self._timeout_s):
                return f"no answer for {self._timeout_s:g} s"
            answer = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            worker.process.join(1.0)
            return f"the process has died ({exit_reason(worker.process.exitcode)})"
        return answer.decode(errors="replace") if len(answer) > 1 else ""

    def _replace(self, number: int) -> None:
        """Start a process anew; its environments begin episodes, and all its steps in progress are lost."""
        old = self._workers[number]
        old.pipe.close()
        _end(old.process)
        if old.failures + 1 >= _ATTEMPTS:
            raise UserError(
                f"the environments of process {number} have failed {_ATTEMPTS} times without completing an episode "
                f"({old.reason}): training stops, and the last checkpoint is intact"
            )
        self._restarts += 1
        new = self._start(number, old.shares)
        new.failures, new.lost = old.failures + 1, [True] * len(self.groups)
        self._workers[number] = new
        try:
            self._await_start(new)
            _order(new, "reset", self._seed + self._restarts)
            self._answer(new)
        except _DiedError as error:
            new.reason = str(error)
            self._replace(number)

    def _start(self, number: int, shares: tuple[slice, ...]) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, self._make, self._shared, shares, number), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours, shares, [False] * len(self.groups), [False] * len(self.groups))

    def _await_start(self, worker: _Worker) -> None:
        if not worker.pipe.poll(_START_TIMEOUT_S):
            raise UserError(f"a process of environments has not started within {_START_TIMEOUT_S:.0f} s")
        self._answer(worker)

    def _answer(self, worker: _Worker) -> Any:
        """The answer to a command. Raises UserError if the process dies, fails or does not answer in time."""
        try:
            if not worker.pipe.poll(max(self._timeout_s, _START_TIMEOUT_S)):
                raise UserError("a process of environments does not answer while it is reset, saved or loaded")
            done, value = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(1.0)
            why = exit_reason(worker.process.exitcode)
            raise _DiedError(
                f"a process of environments died while it was started, reset, saved or loaded ({why})"
            ) from None
        if not done:
            raise UserError(value)
        return value


def _order(worker: _Worker, command: str, value: Any) -> None:
    with contextlib.suppress(OSError):  # a dead process is found when its answer is awaited
        worker.pipe.send_bytes(COMMAND)
        worker.pipe.send((command, value))


def _end(process: BaseProcess) -> None:
    if process.is_alive():
        process.kill()
    process.join()


def exit_reason(code: int | None) -> str:
    """Why a process ended, from its exit code: negative for a signal."""
    if code is None:
        return "its end is not known"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}: out of memory?" if name == "SIGKILL" else name
