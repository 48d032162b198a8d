"""Evaluation beside training: a process that loads checkpoints and evaluates them while training continues."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from lab.child_processes import ctrl_c_blocked, leave_ctrl_c_to_the_parent
from lab.config.registry import load
from lab.config.sections import ExperimentConfig
from lab.run import checkpoint as checkpoints
from lab.run.experiment import Evaluation
from lab.run.finite import refuse_non_finite
from lab.train import device as devices
from lab.train import random_state
from lab.train.device import Device

ATTEMPTS = 2
"""Attempts to evaluate a checkpoint, each in a new process after a crash, before its evaluation is given up."""

EvaluateState = Callable[[Mapping[str, Any], Mapping[str, int]], Evaluation]
"""Evaluates `Experiment.state_dict` of a checkpoint, given its counters, without building the experiment."""


class EvaluationFailed(Exception):
    """Why a checkpoint could not be evaluated, in one line."""


class Evaluator(Protocol):
    """Evaluates one checkpoint at a time in another process. If that process dies, a new one repeats the evaluation."""

    def start(self, checkpoint: Path) -> None:
        """Begin to evaluate a checkpoint. No other evaluation is running."""
        ...

    def poll(self, timeout_s: float = 0.0) -> Evaluation | None:
        """The evaluation if it ends within `timeout_s`, else None. Raises EvaluationFailed if it cannot complete."""
        ...


class CheckpointEvaluator:
    """Evaluates checkpoints in the calling process.

    `target` is the kind's `evaluator` (`lab.config.registry.Kind`); it is built once for all checkpoints.
    """

    def __init__(self, target: str, config: ExperimentConfig, directory: Path, device: Device) -> None:
        self._evaluate: EvaluateState = load(target)(config, directory, device)
        self._seed = config.seed

    def __call__(self, checkpoint: Path) -> Evaluation:
        state, manifest = checkpoints.load(checkpoint)
        refuse_non_finite(state["experiment"], checkpoint)
        random_state.seed_everything(self._seed)
        return self._evaluate(state["experiment"], manifest.counters)


class EvaluatorProcess:
    """An evaluator in a process of this machine (`Evaluator`). It starts with the first checkpoint."""

    def __init__(self, target: str, config: ExperimentConfig, directory: Path, device: Device) -> None:
        self._arguments = (target, config, directory, device)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._checkpoint: Path | None = None
        self._attempts = 0

    @property
    def process_id(self) -> int | None:
        """The id of the process while it runs."""
        return None if self._process is None else self._process.pid

    def start(self, checkpoint: Path) -> None:
        self._checkpoint, self._attempts = checkpoint, 0
        self._send()

    def poll(self, timeout_s: float = 0.0) -> Evaluation | None:
        if self._checkpoint is None or self._connection is None or not self._connection.poll(timeout_s):
            return None
        try:
            answer: Evaluation | str = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            if self._attempts < ATTEMPTS:
                self._send()
                return None
            answer = f"its process died {ATTEMPTS} times"
        self._checkpoint = None
        if isinstance(answer, str):
            raise EvaluationFailed(answer)
        return answer

    def close(self) -> None:
        """Kill the process, even during an evaluation."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self) -> None:
        self._attempts += 1
        if self._process is None or self._connection is None or not self._process.is_alive():
            self.close()
            self._process, self._connection = _start(self._arguments)
        self._connection.send(self._checkpoint)


def _start(arguments: tuple[Any, ...]) -> tuple[BaseProcess, Connection]:
    # Not forked: CUDA and thread pools do not survive a fork.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, *arguments), name="evaluator", daemon=True)
    with ctrl_c_blocked():
        process.start()
    there.close()
    return process, here


def _serve(connection: Connection, target: str, config: ExperimentConfig, directory: Path, device: Device) -> None:
    """The main function of the process. It ends with its parent process, even during an evaluation."""
    leave_ctrl_c_to_the_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    devices.apply(device)
    evaluate: CheckpointEvaluator | None = None
    while True:
        checkpoint = connection.recv()
        answer: Evaluation | str
        try:
            evaluate = evaluate or CheckpointEvaluator(target, config, directory, device)
            answer = evaluate(checkpoint)
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            answer = lines[-1]
        connection.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
