"""Two ways to run the commands of trials: one after the other in this machine, or side by side on Ray."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.pool.connection import connect, gpus_per_worker
from cluster.pool.placement import PlacementGroup, Resources, placement_timeout_s
from cluster.sweeps.ray_tune import TuneSearch
from cluster.sweeps.trial import POLL_INTERVAL_S, STOP_TIMEOUT_S
from lab.child_processes import ctrl_c_blocked, die_with_parent
from lab.config.sections import ClusterConfig
from lab.run.interrupt import Interrupt
from lab.run.metrics import Catalogue
from lab.terminal.streams import say
from lab.train.device import Device

Commands = dict[str, list[str]]


@dataclass(frozen=True)
class InTurn:
    """Runs commands one after the other; the output of each is in FOLDER/TRIAL.log."""

    folder: Path

    def __call__(self, commands: Commands, interrupt: Interrupt) -> set[str]:
        """Names of those that failed. A signal stops the present one with a checkpoint; the others do not start."""
        failed = set()
        for number, (name, command) in enumerate(commands.items(), start=1):
            say(f"{name} ({number} of {len(commands)})")
            start = time.monotonic()
            code = self._run(name, command, interrupt)
            if interrupt:
                break
            if code:
                failed.add(name)
            say(f"{name}: {'failed' if code else 'complete'} after {(time.monotonic() - start) / 60:.1f} minutes")
        return failed

    def _run(self, name: str, command: list[str], interrupt: Interrupt) -> int:
        with (self.folder / f"{name}.log").open("a", encoding="utf-8") as log, ctrl_c_blocked():
            process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_end_with_parent)
        try:
            while process.poll() is None and not interrupt:
                time.sleep(POLL_INTERVAL_S)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
        return process.wait()


@dataclass(frozen=True)
class OnRay:
    """Runs commands as trials on Ray, `workers` at once; a trial whose node died is started again.

    metric and mode: what Ray Tune shows. cluster: the address and the resources of a trial.
    """

    folder: Path
    catalogue: Catalogue
    metric: str
    mode: str
    workers: int
    cluster: ClusterConfig
    device: Device

    def __call__(self, commands: Commands, interrupt: Interrupt) -> set[str]:
        """Names of those that failed. A signal stops all with checkpoints."""
        with connect(self.cluster.model_copy(update={"workers": 0}), self.device) as connection:
            cluster = self.cluster.model_copy(update={"workers": self.workers})
            gpus = gpus_per_worker(cluster, self.device, connection.gpus)
            resources = Resources(cluster.worker_cpus, gpus, threads=1)
            PlacementGroup([resources], placement_timeout_s(cluster, connection.started), ["worker_cpus"]).close()
            say(f"{len(commands)} trials on {connection}")
            search = TuneSearch(
                folder=self.folder,
                catalogue=self.catalogue,
                metric=self.metric,
                mode=self.mode,
                grace_period=None,
                max_concurrent=self.workers,
                resources=resources,
            )
            return search.run(commands, interrupt)


def _end_with_parent() -> None:
    die_with_parent(signal.SIGTERM)


RunTrials = Callable[[Commands, Interrupt], set[str]]
"""(command of each trial, interrupt) -> names of those that failed; a signal stops all with checkpoints."""
