"""Population based training (Jaderberg et al. 2017): trials that fall behind continue as copies of better ones.

The budget is divided into equal intervals. After each, the worst fifth of the trials is compared with the best fifth
(the paper's truncation selection): a worse trial is replaced by a copy of a random better one (exploit) with perturbed
settings (explore). No trial runs during this step, so whole runs can be copied, and the copies are a function of the
seed and the values.
"""

import random
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.pool.connection import import_ray
from cluster.pool.placement import Resources
from cluster.sweeps import copy_run, search_space
from cluster.sweeps.search_space import Dimension
from cluster.sweeps.trial import (
    MAX_FAILURES,
    POLL_INTERVAL_S,
    STOP_TIMEOUT_S,
    USER_ERROR,
    Trial,
    TrialProcess,
    finite_values,
    wait_until_unlocked,
)
from lab.config import presets
from lab.config.loading import from_settings, load_run_config
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run.interrupt import Interrupt
from lab.run.metrics import Catalogue, read
from lab.run.run_dir import CONFIG
from lab.terminal.streams import say

_QUANTILE = 0.2
_STOP_CALL_TIMEOUT_S = 10.0  # a trainer without an answer after this time still waits for resources


def check(config: ExperimentConfig, space: Sequence[Dimension], trials: int) -> None:
    """Refuse settings that cannot change during training. Raises UserError naming the key."""
    for dimension in space:
        if dimension.key not in config.perturbable:
            known = ", ".join(config.perturbable) or "nothing"
            raise UserError(
                f"pbt cannot search {dimension.key}, which is constant during training; in runs of kind "
                f"{config.kind!r} it can search {known}"
            )
    if trials < 2:
        raise UserError("pbt needs at least two trials; give --trials")


@dataclass(frozen=True)
class PopulationBasedTraining:
    """PBT of trials in `folder`. resources: of each trial."""

    folder: Path
    space: Sequence[Dimension]
    catalogue: Catalogue
    metric: str
    mode: str
    intervals: int
    seed: int
    max_concurrent: int
    resources: Resources

    def run(
        self,
        configs: Mapping[str, ExperimentConfig],
        trials: Sequence[Trial],
        interrupt: Interrupt,
    ) -> tuple[set[str], list[dict[str, Any]]]:
        """Train all trials; return those that failed in the last interval, and the values and copies of each interval.

        configs: the first configuration of each trial. A signal stops all trials with checkpoints. Raises UserError
        when no trial has a value of the metric.
        """
        history = list[dict[str, Any]]()
        budget = next(iter(configs.values())).budget
        ends = [-(-budget * interval // self.intervals) for interval in range(1, self.intervals + 1)]
        for trial in trials:
            first = from_settings(configs[trial.name].model_dump(mode="json") | {"budget": ends[0]}, "the trial")
            copy_run.create_run(self.folder, trial.name, first, trial.settings)
        for interval, end in enumerate(ends, start=1):
            failed = self._train([trial.name for trial in trials], end, interrupt)
            if interrupt:
                break
            values = {trial.name: None if trial.name in failed else self._value(trial.name) for trial in trials}
            if all(value is None for value in values.values()):
                raise UserError(
                    f"no trial has a value of {self.metric} after interval {interval} of {self.intervals}: look at "
                    f"{self.folder / trials[0].name}.log, and whether evaluate.every is 0"
                )
            copies = self._exploit(interval, values) if interval < self.intervals else {}
            history.append({"interval": interval, "budget": end, "values": values, "copies": copies})
            self._print_interval(interval, values, copies)
        return failed, history

    def _train(self, names: Sequence[str], budget: int, interrupt: Interrupt) -> set[str]:
        """Train all trials up to a budget; return the names of those that did not reach it."""
        ray, waiting, failures, failed = import_ray(), deque(names), Counter[str](), set[str]()
        options = {"num_cpus": self.resources.cpus, "num_gpus": self.resources.gpus, "max_concurrency": 2}
        trainer = ray.remote(**options)(_Trainer)
        running: dict[Any, tuple[str, Any]] = {}
        while (waiting and not interrupt) or running:
            while waiting and not interrupt and len(running) < self.max_concurrent:
                name = waiting.popleft()
                actor = trainer.remote()
                command = [sys.executable, "-m", "lab", "resume", str(self.folder / name), f"budget={budget}"]
                running[actor.train.remote(command, str(self.folder / name), self.catalogue)] = (name, actor)
            if interrupt:
                late = stop_trainers({reference: actor for reference, (_, actor) in running.items()})
                if late:
                    say(
                        f"{late} trials did not stop in time, or had not started, and were killed; their last "
                        "checkpoints are kept"
                    )
                return failed
            ready, _ = ray.wait(list(running), timeout=POLL_INTERVAL_S)
            for reference in ready:
                name, actor = running.pop(reference)
                code = _exit_code(reference)
                ray.kill(actor)
                failures[name] += code != 0
                if code not in (0, USER_ERROR) and failures[name] <= MAX_FAILURES:
                    waiting.append(name)
                elif code != 0:
                    failed.add(name)
        return failed

    def _value(self, name: str) -> float | None:
        """The newest value of the metric, which describes the weights that would be copied."""
        values = finite_values(read(self.folder / name / "metrics.jsonl"), self.metric)
        return values[-1] if values else None

    def _exploit(self, interval: int, values: Mapping[str, float | None]) -> dict[str, str]:
        """Replace worse trials by copies of better ones; return the copied trial of each.

        A trial that cannot be replaced, for example because the disk is full, is left unchanged.
        """
        source = random.Random(f"{self.seed}/{interval}")
        copies = {}
        for name, better in select(values, self.mode, source).items():
            try:
                self._copy(name, better, source)
                copies[name] = better
            except UserError as error:
                say(f"trial {name} is unchanged, it could not be replaced by {better}: {error}")
        return copies

    def _copy(self, name: str, better: str, source: random.Random) -> None:
        """Replace a trial by a copy of a better one with perturbed settings. Raises UserError."""
        run, parent = self.folder / name, self.folder / better
        config, settings = load_run_config(parent / CONFIG), copy_run.read_segments(parent)[-1].settings
        explored = {one.key: one.perturb(settings[one.key], source) for one in self.space}
        changes = presets.parse_overrides(search_space.overrides(explored))
        with suppress(UserError):  # an invalid combination: the copy keeps the settings of the better trial
            config = from_settings(presets.merge(config.model_dump(mode="json"), changes), name)
            settings = explored
        wait_until_unlocked(run)
        copy_run.replace_run(run, parent, config, settings)

    def _print_interval(self, interval: int, values: Mapping[str, float | None], copies: Mapping[str, str]) -> None:
        known = {name: value for name, value in values.items() if value is not None}
        best = (max if self.mode == "max" else min)(known, key=lambda name: known[name])
        copied = "".join(f"; {name} is now a copy of {better}" for name, better in copies.items())
        say(f"interval {interval}/{self.intervals}: best {known[best]:.5g} ({best}){copied}")


def select(values: Mapping[str, float | None], mode: str, source: random.Random) -> dict[str, str]:
    """Truncation selection: for each trial of the worst fifth or without a value, a random trial of the best fifth."""
    sign = -1.0 if mode == "max" else 1.0
    losses = {name: sign * value for name, value in values.items() if value is not None}
    order = sorted(losses, key=lambda name: losses[name])
    count = max(1, round(_QUANTILE * len(values)))
    best = order[:count]
    worst = [name for name in order[-count:] if losses[name] > losses[best[-1]]]
    return {name: source.choice(best) for name in values if name in worst or name not in losses}


class _Trainer:
    """An actor that trains one trial up to a budget. It runs `stop` concurrently with `train`."""

    def __init__(self) -> None:
        self._stopping = False

    def train(self, command: Sequence[str], run: str, catalogue: Catalogue) -> int:
        """Return the exit code of the command."""
        process = TrialProcess(command, Path(run), catalogue)
        try:
            while (code := process.poll()[0]) is None and not self._stopping:
                time.sleep(POLL_INTERVAL_S)
        finally:
            process.stop()
        return code if code is not None else USER_ERROR

    def stop(self) -> None:
        self._stopping = True


def stop_trainers(running: Mapping[Any, Any], timeout_s: float = STOP_TIMEOUT_S + 30.0) -> int:
    """Stop trainers, given by the references to their results; those that have started save a checkpoint first.

    Trainers that do not end within `timeout_s`, for example on a node that no longer answers, are killed, and so are
    those that do not take the call, which includes all that wait for resources. Returns their number.
    """
    ray = import_ray()
    calls = {actor.stop.remote(): reference for reference, actor in running.items()}
    answered, _ = ray.wait(list(calls), num_returns=len(calls), timeout=min(_STOP_CALL_TIMEOUT_S, timeout_s))
    ends = [calls[answer] for answer in answered]
    late = ray.wait(ends, num_returns=len(ends), timeout=timeout_s)[1] if ends else []
    for actor in running.values():
        ray.kill(actor)
    return len(late) + len(calls) - len(answered)


def _exit_code(reference: Any) -> int:
    """The exit code that a trainer returned; -1 if the trainer or its node died."""
    ray = import_ray()
    try:
        return int(ray.get(reference))
    except ray.exceptions.RayError:
        return -1
