"""A sweep through Ray Tune: trials run side by side, and those that fall behind are stopped early."""

import math
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.pool.connection import import_ray
from cluster.pool.placement import Resources
from cluster.sweeps.trials import LOOK_S, MAX_FAILURES, REFUSED, TrialProcess
from lab.run.interrupt import Interrupt

_REDUCTION = 3  # ASHA: of those that have reported a value 1, 3, 9 ... times the best third goes on
_MOST_VALUES = 3**9
_ENDS = (0, REFUSED, 130, 143)  # complete, refused, interrupted
_STOP = ".stop"  # while it is there, trials end with a checkpoint


@dataclass(frozen=True)
class Tuning:
    """Trials in `folder`, judged by `metric`, each with a share of a node; `concurrent` at a time, or as many as fit.

    grace: trials behind the best third at 1, 3, 9 ... times so many values of the metric are stopped (ASHA, Li et al.
    2020, "A System for Massively Parallel Hyperparameter Tuning"); with None none are.
    """

    folder: Path
    kind: str
    metric: str
    mode: str
    grace: int | None
    concurrent: int | None
    resources: Resources

    def run(self, commands: dict[str, list[str]], interrupt: Interrupt) -> set[str]:
        """Train every trial by its command; the names of those that failed. A signal stops all, with checkpoints."""
        self.folder.mkdir(parents=True)
        stop = self.folder / _STOP
        results: list[Any] = []
        failures: list[Exception] = []

        def fit() -> None:
            try:
                results.extend(self._fit(commands, stop.exists))
            except Exception as error:  # raised again where it is waited for
                failures.append(error)

        # Tune has handlers of its own for signals, except in a thread.
        fitting = threading.Thread(target=fit, daemon=True)
        fitting.start()
        while fitting.is_alive():
            fitting.join(LOOK_S)
            if interrupt:
                stop.touch()
        stop.unlink(missing_ok=True)
        if failures:
            raise failures[0]
        return {result.config["trial"] for result in results if result.error}

    def _fit(self, commands: dict[str, list[str]], stopping: Callable[[], bool]) -> list[Any]:
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # names folders that do not outlast the sweep
        import_ray()
        from ray import tune
        from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

        scheduler = FIFOScheduler()
        if self.grace is not None:
            scheduler = AsyncHyperBandScheduler(
                max_t=_MOST_VALUES, grace_period=self.grace, reduction_factor=_REDUCTION
            )
        trainable = tune.with_parameters(
            _trainable(), commands=commands, folder=str(self.folder), kind=self.kind, metric=self.metric
        )
        with tempfile.TemporaryDirectory() as storage:
            tuner = tune.Tuner(
                tune.with_resources(trainable, {"cpu": self.resources.cpus, "gpu": self.resources.gpus}),
                param_space={"trial": tune.grid_search(list(commands))},
                tune_config=tune.TuneConfig(
                    metric="value", mode=self.mode, scheduler=scheduler, max_concurrent_trials=self.concurrent
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=storage,
                    verbose=0,
                    stop=_stopper(stopping),
                    callbacks=[_reporter()],
                    failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the runs keep their own
                ),
            )
            return list(tuner.fit())


def _trainable() -> type:
    """A class, for Tune calls its `cleanup` and waits where it would cut a function off."""
    from ray import tune

    class RunTrainable(tune.Trainable):
        """One `lab train`; a step is the next value of the metric."""

        def setup(
            self, config: dict[str, Any], commands: Any = None, folder: str = "", kind: str = "", metric: str = ""
        ) -> None:
            self._stop, self._metric = Path(folder) / _STOP, metric
            self._seen, self._latest = 0, {"value": float("nan"), "iteration": 0}
            self._process = TrialProcess(commands[config["trial"]], Path(folder) / config["trial"], kind)

        def step(self) -> dict[str, Any]:
            while True:
                code, entries = self._process.look()
                found = [entry for entry in entries if self._metric in entry.metrics]
                if len(found) > self._seen:
                    entry, self._seen = found[self._seen], self._seen + 1
                    self._latest = {"value": entry.metrics[self._metric], "iteration": entry.iteration}
                    return self._latest
                if code is not None and code not in _ENDS:
                    raise RuntimeError(f"exit code {code}; see {self._process.log}")
                if code is not None or self._stop.exists():
                    return self._latest | {"done": True}
                time.sleep(LOOK_S)

        def cleanup(self) -> None:
            self._process.stop()

    return RunTrainable


def _stopper(stopping: Callable[[], bool]) -> Any:
    from ray import tune

    class Stopping(tune.Stopper):
        """No trial goes on or begins once the sweep is to stop."""

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return stopping()

        def stop_all(self) -> bool:
            return stopping()

    return Stopping()


def _reporter() -> Any:
    from ray import tune

    class Reporter(tune.Callback):
        """A line for every trial that has ended."""

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            last = {"value": math.nan, "iteration": 0} | (trial.last_result or {})
            print(f"trial {trial.config['trial']}: {last['value']:.5g} at iteration {last['iteration']}", flush=True)

    return Reporter()
