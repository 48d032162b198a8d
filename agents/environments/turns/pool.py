"""Processes that step lines of moves. They keep only copies, so one that dies is started anew and asked again."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from agents.environments.environments import parts
from agents.environments.faults import described
from agents.environments.processes import exit_reason
from agents.environments.turns.encoding import Code
from agents.environments.turns.stepper import Rows, Rules, Stepper
from lab.child_processes import ctrl_c_blocked, leave_ctrl_c_to_the_parent
from lab.errors import UserError

_log = logging.getLogger(__name__)
_ATTEMPTS = 3
"""Times that a request is made before training ends."""
TIMEOUT_S, _TIMEOUT_PER_LINE_S = 120.0, 0.25


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection


class StepperPool:
    """P processes with a `Stepper` each, started with the first request; 0 processes step in this one.

    Line i of N goes to the process of its part of the N lines, so that the boards of self-play stay with a process,
    which has the environments of their earlier positions. Threads may share a pool.
    """

    def __init__(self, rules: Rules, processes: int, *, timeout_s: float = TIMEOUT_S) -> None:
        """timeout_s: after this time without an answer, and more for many lines, a process is replaced."""
        self.rules, self.processes, self._timeout_s = rules, processes, timeout_s
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._own: Stepper | None = None
        self._requests = 0
        self._lock = threading.Lock()

    def step(self, lines: Sequence[bytes]) -> Rows:
        """The positions of N lines. Raises UserError as `Stepper.step`, and where processes die again and again."""
        found = self._ask("step", [(lines[part],) for part in self._parts(len(lines))])
        return found[0] if len(found) == 1 else Rows(*(np.concatenate(field) for field in zip(*found, strict=True)))

    def seen_by(self, lines: Sequence[bytes], players: Sequence[int]) -> list[Code]:
        """As `Stepper.seen_by`."""
        found = self._ask("seen_by", [(lines[part], players[part]) for part in self._parts(len(lines))])
        return [code for codes in found for code in codes]

    def observations(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """As `Stepper.observations`."""
        found = self._ask("observations", [(lines[part],) for part in self._parts(len(lines))])
        return [seen for some in found for seen in some]

    def close(self) -> None:
        """End the processes; the next request starts them again."""
        with self._lock:
            workers, self._workers, self._own = self._workers, [], None
        for worker in workers:
            worker.pipe.close()
        for worker in workers:
            worker.process.join(1.0)
            _end(worker.process)

    def _parts(self, count: int) -> list[slice]:
        return parts(slice(0, count), max(1, min(self.processes, count)))

    def _ask(self, call: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        """The answers of the first processes to one request each."""
        with self._lock:
            if not self.processes:
                self._own = self._own or Stepper(self.rules)
                return [getattr(self._own, call)(*given) for given in arguments]
            while len(self._workers) < self.processes:
                self._workers.append(self._start())
            self._requests += 1
            for number, given in enumerate(arguments):
                self._send(number, call, given)
            return [self._answer(number, call, given) for number, given in enumerate(arguments)]

    def _send(self, number: int, call: str, given: tuple[Any, ...]) -> None:
        with contextlib.suppress(OSError):  # a dead process is found when its answer is awaited
            self._workers[number].pipe.send((self._requests, call, given))

    def _answer(self, number: int, call: str, given: tuple[Any, ...]) -> Any:
        for attempt in range(_ATTEMPTS):
            try:
                return self._received(self._workers[number], len(given[0]))
            except _LostError as lost:
                reason = str(lost)
                _log.warning("a process of environment %s is replaced: %s", self.rules.profile.name, reason)
                _end(self._workers[number].process)
                self._workers[number].pipe.close()
                self._workers[number] = self._start()
                if attempt + 1 < _ATTEMPTS:
                    self._send(number, call, given)
        raise UserError(
            f"environment {self.rules.profile.name} failed {_ATTEMPTS} times at the same moves ({reason}); a run's "
            "last checkpoint is intact"
        )

    def _received(self, worker: _Worker, lines: int) -> Any:
        """The answer to the last request; answers to earlier ones, which Ctrl-C interrupted, are dropped."""
        limit = self._timeout_s + lines * _TIMEOUT_PER_LINE_S
        while True:
            try:
                if not worker.pipe.poll(limit):
                    raise _LostError(f"no answer for {limit:g} s")
                request, done, value = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join(1.0)
                raise _LostError(f"the process has died ({exit_reason(worker.process.exitcode)})") from None
            if request == self._requests:
                if not done:
                    raise UserError(value)
                return value

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self.rules), daemon=True)
        with ctrl_c_blocked():
            process.start()
        theirs.close()
        return _Worker(process, ours)


class _LostError(Exception):
    """A process has died or hangs."""


def serve(pipe: Connection, rules: Rules) -> None:
    """The loop of a process: answers requests until the pipe is closed or the parent is gone."""
    leave_ctrl_c_to_the_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)  # what environments print is no part of the standard output of a command
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    stepper: Stepper | None = None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            request, call, given = pipe.recv()
            try:
                stepper = stepper or Stepper(rules)
                answer = (request, True, getattr(stepper, call)(*given))
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                # Environments may be left in the middle of a step.
                stepper, answer = None, (request, False, described(error))
            pipe.send(answer)


def _end_with_the_parent() -> None:
    """An environment that hangs does not read the pipe, and would outlive a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _end(process: BaseProcess) -> None:
    if process.is_alive():
        process.kill()
    process.join()
