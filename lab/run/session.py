"""The steps of the run loop and the state between them: restore, iterate, evaluate, save."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import torch

from lab.config.sections import ExperimentConfig
from lab.config.suggestions import did_you_mean
from lab.errors import CheckpointError, UserError
from lab.plots.media import Media
from lab.run import checkpoint, metrics, nan_guard, tracking
from lab.run.best_value import stop_reason
from lab.run.evaluator import EvaluationFailed, Evaluator
from lab.run.experiment import Evaluation, Experiment
from lab.run.loop_state import LoopState
from lab.run.memory import memory_mb
from lab.run.origin import Origin
from lab.run.progress import Progress, headline
from lab.run.repeated import RepeatedMessage
from lab.run.restore import restore_experiment
from lab.run.run_dir import RunDir
from lab.train import device as devices
from lab.train import random_state


class Session:
    """The steps of `lab.run.loop.run` in one process. On exit it closes the logs and the tracker.

    `saved` is the newest checkpoint and `saved_at` its iteration, None while there is none. With an `evaluator`
    evaluations run beside training: it loads `checkpoints/pending`, which is kept until the evaluation ends.
    """

    def __init__(
        self,
        experiment: Experiment,
        config: ExperimentConfig,
        run_dir: RunDir,
        progress: Progress,
        *,
        evaluator: Evaluator | None = None,
        sinks: Sequence[metrics.Sink] = (),
    ) -> None:
        self.state = LoopState()
        self.saved: Path | None = None
        self.saved_at: int | None = None
        self.exit_code = 1  # until the loop has ended without an error
        self._experiment, self._config, self._run_dir, self._progress = experiment, config, run_dir, progress
        self._evaluator, self._sinks = evaluator, sinks
        self._catalogue = metrics.LOOP_METRICS | experiment.catalogue
        self._headline = headline(self._catalogue, config.evaluate.best)
        self._tracker = tracking.Tracker(None)
        self._log: metrics.MetricsLog | None = None
        # Every evaluation fails while, say, Ray's object store is full.
        self._missed = RepeatedMessage(progress.say, "{count} further evaluations were left out for the same reason")
        self._origin: Origin | None = None
        self._dirty = False  # whether anything is not in the newest checkpoint
        self._improved = False  # the state is the best so far
        self._pending_is_best = False  # the pending checkpoint is the best so far
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._missed.end()
        if self._log is not None:
            self._log.close()
        best = self._run_dir.checkpoints / checkpoint.BEST
        finished = self.exit_code == 0 and self.complete()
        self._tracker.finish(self.exit_code, artifact=best if finished and best.is_dir() else None)

    def restore(self) -> None:
        """Resume from the newest valid checkpoint, or start from scratch; then open the logs.

        Raises UserError when there are checkpoints and none can be used, and when there were some and are none.
        """
        self._check_best()
        folder = self._run_dir.checkpoints
        checkpoint.tidy(folder)
        self._run_dir.identify(self._progress.say)
        self._origin = self._run_dir.origin
        random_states = self._load_newest(folder)
        if self.saved is None:
            checkpoint.drop_pending(folder)
        elif not self._run_dir.has_checkpoints:
            self._run_dir.mark_saved()
        if not self.complete() or self.evaluation_due() or self.waiting():
            self._experiment.verify_data()
        metrics.cut_back(self._run_dir.metrics_path, self.state.iteration)
        if lost := metrics.missing_until(self._run_dir.metrics_path, self.state.iteration):
            self._progress.say(lost)
        self._log = metrics.MetricsLog(self._run_dir.metrics_path)
        self._run_dir.started()
        if not self.complete() or self.evaluation_due() or self.waiting():
            self._tracker = tracking.start(
                self._config,
                self._run_dir,
                self.state.iteration,
                self.state.wandb_id,
                say=self._progress.say,
                catalogue=self._catalogue,
            )
            self.state.wandb_id = self._tracker.run_id or self.state.wandb_id
        # Last: the code above may draw from the global generators.
        if random_states is None:
            random_state.seed_everything(self._config.seed)
        else:
            random_state.restore(random_states)
        self._since = time.monotonic()

    def _check_best(self) -> None:
        best = self._config.evaluate.best
        if best is None:
            return
        graded = [name for name, metric in self._experiment.catalogue.items() if metric.higher_is_better is not None]
        # Evaluations of the lab's kinds return metrics of this section alone.
        graded = [name for name in graded if name.startswith("eval/")] or graded
        if best not in graded:
            what = "cannot choose the best checkpoint" if best in self._catalogue else "is no metric of this experiment"
            raise UserError(f"evaluate.best={best} {what}; {did_you_mean(best, graded)}")

    def complete(self) -> bool:
        """Whether the progress counter has reached the budget, or early stopping ends the run."""
        return self._count() >= self._config.budget or self.state.best.exceeds(self._config.evaluate.patience)

    def evaluation_due(self) -> bool:
        """Whether this iteration is to be evaluated and has not been."""
        every, iteration = self._config.evaluate.every, self.state.iteration
        if every == 0 or iteration == self.state.evaluated_at:
            return False
        return iteration % every == 0 or self.complete()

    def waiting(self) -> bool:
        """Whether an evaluation runs beside training."""
        return self.state.pending is not None

    def checkpoint_due(self) -> bool:
        """Whether there are unsaved changes and a checkpoint is due."""
        due = self.state.iteration % self._config.checkpoint.every == 0
        return self._dirty and (due or self._improved or self._pending_is_best or self.complete())

    def iterate(self) -> None:
        """Train one iteration; raises UserError, before anything is saved, when a loss is NaN or infinite."""
        start = time.monotonic()
        iteration = self.state.iteration + 1
        try:
            values = {name: float(value) for name, value in self._experiment.iterate().items()}
        except FloatingPointError as error:
            reason = str(error) or "a floating-point error"
            raise nan_guard.write_bundle(self._run_dir, self._experiment, iteration, reason, {}) from error
        self._check_losses(iteration, values)
        values["time/iteration_s"] = time.monotonic() - start
        self.state.iteration = iteration
        self._dirty = True
        self._record(values | memory_mb())
        self._progress.iteration(self.state.iteration, self._count(), values, self._headline)

    def evaluate(self) -> None:
        """Evaluate the experiment without a change to its training, or start the evaluator on a checkpoint."""
        if self._evaluator is not None:
            self._start_evaluation(self._evaluator)
            return
        start = time.monotonic()
        with random_state.preserved():
            evaluation = self._experiment.evaluate()
        self.state.evaluated_at = self.state.iteration
        seconds = {"time/evaluation_s": time.monotonic() - start}
        self._improved |= self._record_evaluation(evaluation, self.state.iteration, seconds)

    def collect_evaluation(self, timeout_s: float = 0.0) -> None:
        """Record the evaluation beside training if it ends within `timeout_s`."""
        at = self.state.pending
        if at is None or self._evaluator is None:
            return
        try:
            with random_state.preserved():
                evaluation = self._evaluator.poll(timeout_s)
        except EvaluationFailed as error:
            self._drop_evaluation(str(error))
            return
        if evaluation is None:
            return
        self.state.pending = None
        lag = {"eval/at_iteration": float(at)} if at != self.state.iteration else {}
        self._pending_is_best = self._record_evaluation(evaluation, at, lag)
        if not self._pending_is_best:
            checkpoint.drop_pending(self._run_dir.checkpoints)

    def save(self) -> None:
        """Write a checkpoint if anything has changed since the last, and keep it as the best if it is."""
        if not self._dirty and self.saved is not None:
            return
        start, best = time.monotonic(), self.state.best.value
        self._advance_clock()
        state = {
            "loop": asdict(self.state),
            "random": random_state.capture(),
            "machine": _machine(self._config),
            "experiment": self._experiment.state_dict(),
        }
        meta = {
            "progress": self._experiment.progress,
            "evaluation_due": self.evaluation_due() or self.waiting(),
            "no_better": self.state.best.no_better,
            "best": best if best is not None and math.isfinite(best) else None,
            "best_at": self.state.best.iteration,
            "wandb_id": self.state.wandb_id,
        }
        folder = self._run_dir.checkpoints
        self.saved = checkpoint.save(
            folder,
            state,
            iteration=self.state.iteration,
            counters=self._experiment.counters,
            extra_meta=meta,
            origin=self._origin,
        )
        if not self._run_dir.has_checkpoints:
            self._run_dir.mark_saved()
        self.saved_at = self.state.iteration
        if self._pending_is_best:
            checkpoint.promote_pending(folder)
        if self._improved:
            checkpoint.keep_as(checkpoint.BEST, self.saved)
        checkpoint.prune(folder, self._config.checkpoint.keep, newest=self.state.iteration)
        self._dirty = self._improved = self._pending_is_best = False
        self._record({"time/checkpoint_s": time.monotonic() - start})

    def summary(self) -> str:
        """One line on a run that is complete."""
        self._advance_clock()
        metric, best = self._config.evaluate.best, self.state.best
        how = "complete"
        if best.exceeds(self._config.evaluate.patience):
            how = f"stopped early, {stop_reason(metric, best.no_better)}"
        time_taken = timedelta(seconds=round(self.state.seconds))
        shown = "" if best.value is None else f"; best {metric} {best.value:.4g} at iteration {best.iteration}"
        return (
            f"{how}: {self._count():,} {self._experiment.progress} in {self.state.iteration} iterations, "
            f"{time_taken}{shown}; {self._run_dir.path}"
        )

    def _count(self) -> int:
        return self._experiment.counters[self._experiment.progress]

    def _load_newest(self, folder: Path) -> dict[str, Any] | None:
        """Load the newest usable checkpoint; returns its random states, or None without any checkpoint.

        One that cannot be loaded, whatever the reason, is passed over for the one before.
        """
        existing = checkpoint.numbered(folder)
        refused: UserError | None = None
        for found in checkpoint.newest_first(folder, self._progress.say, self._origin):
            try:
                self.state = restore_experiment(self._experiment, found)
            except UserError as error:
                self._progress.say(f"skipped checkpoint {found.path}: {error}")
                if not isinstance(error, CheckpointError):  # the data has changed, say
                    refused = refused or error
                continue
            self.saved, self.saved_at = found.path, self.state.iteration
            self._continue_from(found, existing[: existing.index(found.path)])
            return dict(found.state["random"])
        if refused is not None:
            raise refused
        if existing:
            checkpoint.latest_valid(folder, lambda _: None, self._origin)  # raises where all are of another origin
            raise checkpoint.none_valid(folder)
        entries = metrics.read(self._run_dir.metrics_path)
        if self._run_dir.has_checkpoints or any("time/checkpoint_s" in entry.metrics for entry in entries):
            raise checkpoint.none_left(folder)
        if entries:
            self._progress.say("this run was stopped before its first checkpoint: it starts from scratch")
        return None

    def _continue_from(self, found: checkpoint.Checkpoint, skipped: list[Path]) -> None:
        for path in skipped:
            checkpoint.set_aside(path)
        best_at, at = self.state.best.iteration, self.state.pending
        kept = checkpoint.settle(
            found.path, best_at=best_at, pending=at, report=self._progress.say, origin=self._origin
        )
        self._progress.say(f"continuing from iteration {self.state.iteration} ({found.path})")
        if kept is not None and self._evaluator is not None:
            self._progress.say(f"evaluation of iteration {at}: restarted")
            self._evaluator.start(kept)
        elif at is not None:
            self._drop_evaluation("its checkpoint or its evaluator is missing")
        was = found.state["machine"] | found.manifest.versions
        now = _machine(self._config) | checkpoint.versions()
        changed = [f"{name} {was.get(name)} -> {now[name]}" for name in now if was.get(name) != now[name]]
        if changed:
            self._progress.say(f"the resumed run is not bit for bit the uninterrupted one: {', '.join(changed)}")

    def _start_evaluation(self, evaluator: Evaluator) -> None:
        """Save a checkpoint and start its evaluation. A complete run waits for an earlier evaluation first."""
        if self.state.pending is not None:
            if not self.complete():
                at, self.state.evaluated_at = self.state.iteration, self.state.iteration
                self._missed(f"no evaluation of iteration {at}: that of {self.state.pending} is still running")
            return
        self.state.evaluated_at = self.state.pending = self.state.iteration
        self._dirty = True
        self.save()
        assert self.saved is not None
        kept = checkpoint.keep_as(checkpoint.PENDING, self.saved)
        if not self._missed:
            self._progress.say(f"evaluation of iteration {self.state.iteration}: started")
        with random_state.preserved():
            evaluator.start(kept)

    def _drop_evaluation(self, reason: str) -> None:
        self._missed(f"no evaluation of iteration {self.state.pending}: {reason}")
        self.state.pending = None
        self._dirty = True
        checkpoint.drop_pending(self._run_dir.checkpoints)

    def _record_evaluation(self, evaluation: Evaluation, iteration: int, more: Mapping[str, float]) -> bool:
        """Record an evaluation of the state at `iteration`; returns whether it is the best so far."""
        values = {name: float(value) for name, value in evaluation.metrics.items()}
        self._check_losses(self.state.iteration, values)
        best = self._is_best(values, iteration)
        self._dirty = True
        self._record({**values, **more}, evaluation.media)
        self._missed.end()
        if values or evaluation.media:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            shown = shown or ", ".join(item.name for item in evaluation.media)  # images alone
            self._progress.say(f"evaluation at iteration {iteration}: {shown}")
        return best

    def _is_best(self, values: Mapping[str, float], iteration: int) -> bool:
        """Update the best value; return whether `values` has a new one."""
        metric = self._config.evaluate.best
        if metric is None or metric not in values:
            return False
        lower = self._catalogue[metric].higher_is_better is False
        scheduled = iteration % self._config.evaluate.every == 0
        return self.state.best.update(values[metric], iteration, lower_is_better=lower, counts=scheduled)

    def _record(self, values: Mapping[str, float], media: Sequence[Media] = ()) -> None:
        assert self._log is not None, "restore() comes first"
        self._catalogue.check(values)
        self._advance_clock()
        counters = dict(self._experiment.counters)
        self._log.append(self.state.iteration, counters, values, self.state.seconds)
        self._tracker.log(self.state.iteration, counters, values, media)
        for sink in self._sinks:
            sink(metrics.Entry(self.state.iteration, counters, dict(values), self.state.seconds))

    def _advance_clock(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._since
        self._since = now

    def _check_losses(self, iteration: int, values: Mapping[str, float]) -> None:
        """Write a debug bundle and raise UserError if a loss is NaN or infinite."""
        bad = nan_guard.non_finite_losses(values)
        if bad:
            reason = ", ".join(f"{name} is {value}" for name, value in bad.items())
            raise nan_guard.write_bundle(self._run_dir, self._experiment, iteration, reason, values)


def _machine(config: ExperimentConfig) -> dict[str, Any]:
    """Properties of the machine that change the last bits of a sum."""
    target = devices.resolve(config.device, config.precision, config.threads)
    if target.device.type == "cuda":
        name = torch.cuda.get_device_name(target.device)
    else:
        name = torch.backends.cpu.get_cpu_capability()
    return {"device": target.device.type, "processor": name, "threads": torch.get_num_threads()}
