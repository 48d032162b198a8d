"""Population based training (Jaderberg et al. 2017): trials that fall behind go on as copies of the best ones.

The budget is trained in equal parts, every trial up to the end of each. Then the worst fifth is compared with the best
fifth (the paper's truncation selection): who is worse becomes a copy of a better one, drawn at random (exploit), with
settings near that one's (explore). Between parts nothing runs, so that what is copied is a whole run at rest, and which
trials are copied is a function of the seed and of their values alone.
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
from cluster.sweeps import exploit, search_space
from cluster.sweeps.search_space import Dimension
from cluster.sweeps.trials import LOOK_S, MAX_FAILURES, REFUSED, Trial, TrialProcess, finite, wait_for_predecessor
from lab.config import presets
from lab.config.loading import from_settings, load_run_config
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run.interrupt import Interrupt
from lab.run.metrics import read
from lab.run.run_dir import CONFIG

_QUANTILE = 0.2
_HEARING_S = 10.0  # after which a trainer that did not hear is one that still waits for room


def check(config: ExperimentConfig, dimensions: Sequence[Dimension], trials: int) -> None:
    """Refuse what cannot be searched while it trains. Raises UserError naming the key."""
    for dimension in dimensions:
        if dimension.key not in config.perturbable:
            known = ", ".join(config.perturbable) or "nothing"
            raise UserError(
                f"pbt cannot search {dimension.key}, which stays as it is while a run trains; of kind {config.kind!r} "
                f"it can search {known}"
            )
    if trials < 2:
        raise UserError("a population has two trials at least; give --trials")


@dataclass(frozen=True)
class Population:
    """Trials in `folder` that search `dimensions`, judged by `metric`, each with a share of a node; how many at a time.

    `history` gets a record of each part: values, and who became a copy of whom.
    """

    folder: Path
    dimensions: Sequence[Dimension]
    metric: str
    mode: str
    parts: int
    seed: int
    concurrent: int
    resources: Resources
    history: list[dict[str, Any]]

    def run(self, configs: Mapping[str, ExperimentConfig], plan: Sequence[Trial], interrupt: Interrupt) -> set[str]:
        """Train every trial of `plan`, of these configurations to begin with; the names of those that failed last.

        A signal stops all of them with checkpoints. Raises UserError when none has a value of the metric after a part.
        """
        budget = next(iter(configs.values())).budget
        ends = [-(-budget * part // self.parts) for part in range(1, self.parts + 1)]
        for trial in plan:
            first = from_settings(configs[trial.name].model_dump(mode="json") | {"budget": ends[0]}, "the trial")
            exploit.begin(self.folder, trial.name, first, trial.settings)
        kind = configs[plan[0].name].kind
        for part, end in enumerate(ends, start=1):
            failed = self._train([trial.name for trial in plan], end, kind, interrupt)
            if interrupt:
                return failed
            values = {trial.name: None if trial.name in failed else self._value(trial.name) for trial in plan}
            if all(value is None for value in values.values()):
                raise UserError(
                    f"no trial has a value of {self.metric} after part {part} of {self.parts}: look at "
                    f"{self.folder / plan[0].name}.log, and whether evaluate.every is 0"
                )
            copied = self._evolve(part, values) if part < self.parts else {}
            self.history.append({"part": part, "budget": end, "values": values, "copied": copied})
            self._say(part, values, copied)
        return failed

    def _train(self, names: Sequence[str], budget: int, kind: str, interrupt: Interrupt) -> set[str]:
        """Train all up to a budget; the names of those that did not get there."""
        ray, waiting, failures, failed = import_ray(), deque(names), Counter[str](), set[str]()
        options = {"num_cpus": self.resources.cpus, "num_gpus": self.resources.gpus, "max_concurrency": 2}
        trainer = ray.remote(**options)(_Trainer)
        running: dict[Any, tuple[str, Any]] = {}
        while (waiting and not interrupt) or running:
            while waiting and not interrupt and len(running) < self.concurrent:
                name = waiting.popleft()
                actor = trainer.remote()
                command = [sys.executable, "-m", "lab", "resume", str(self.folder / name), f"budget={budget}"]
                running[actor.train.remote(command, str(self.folder / name), kind)] = (name, actor)
            if interrupt:
                _stop({reference: actor for reference, (_, actor) in running.items()})
                return failed
            ready, _ = ray.wait(list(running), timeout=LOOK_S)
            for reference in ready:
                name, actor = running.pop(reference)
                code = _result(reference)
                ray.kill(actor)
                failures[name] += code != 0
                if code not in (0, REFUSED) and failures[name] <= MAX_FAILURES:
                    waiting.append(name)
                elif code != 0:
                    failed.add(name)
        return failed

    def _value(self, name: str) -> float | None:
        """The newest: what a trial once was is no reason to copy it."""
        values = finite(read(self.folder / name / "metrics.jsonl"), self.metric)
        return values[-1] if values else None

    def _evolve(self, part: int, values: Mapping[str, float | None]) -> dict[str, str]:
        """Copies better trials over worse ones; names of the worse and what each became a copy of.

        One that cannot be replaced, say for want of room on the disk, stays as it is.
        """
        source = random.Random(f"{self.seed}/{part}")
        copied = {}
        for name, better in select(values, self.mode, source).items():
            try:
                self._copy(name, better, source)
                copied[name] = better
            except UserError as error:
                print(f"trial {name} stays as it is and becomes no copy of {better}: {error}", flush=True)
        return copied

    def _copy(self, name: str, better: str, source: random.Random) -> None:
        """Makes a trial a copy of a better one, with settings near that one's. Raises UserError when it cannot be."""
        run, parent = self.folder / name, self.folder / better
        config, settings = load_run_config(parent / CONFIG), exploit.read(parent)[-1].settings
        explored = {one.key: one.perturb(settings[one.key], source) for one in self.dimensions}
        changes = presets.parse_overrides(search_space.overrides(explored))
        with suppress(UserError):  # settings that rule each other out: it goes on with those of the better one
            config = from_settings(presets.merge(config.model_dump(mode="json"), changes), name)
            settings = explored
        wait_for_predecessor(run)
        exploit.become(run, parent, config, settings)

    def _say(self, part: int, values: Mapping[str, float | None], copied: Mapping[str, str]) -> None:
        known = {name: value for name, value in values.items() if value is not None}
        best = (max if self.mode == "max" else min)(known, key=lambda name: known[name])
        became = "".join(f"; {name} becomes a copy of {better}" for name, better in copied.items())
        print(f"part {part}/{self.parts}: best {known[best]:.5g} ({best}){became}", flush=True)


def select(values: Mapping[str, float | None], mode: str, source: random.Random) -> dict[str, str]:
    """Who is to become a copy of whom: the worst fifth, and all without a value, of any of the best fifth."""
    sign = -1.0 if mode == "max" else 1.0
    losses = {name: sign * value for name, value in values.items() if value is not None}
    order = sorted(losses, key=lambda name: losses[name])
    count = max(1, round(_QUANTILE * len(values)))
    best = order[:count]
    worst = [name for name in order[-count:] if losses[name] > losses[best[-1]]]
    return {name: source.choice(best) for name in values if name in worst or name not in losses}


class _Trainer:
    """An actor that trains one trial up to a budget. It can be stopped meanwhile."""

    def __init__(self) -> None:
        self._stopping = False

    def train(self, command: Sequence[str], run: str, kind: str) -> int:
        """The exit code."""
        process = TrialProcess(command, Path(run), kind)
        try:
            while (code := process.look()[0]) is None and not self._stopping:
                time.sleep(LOOK_S)
        finally:
            process.stop()
        return code if code is not None else REFUSED

    def stop(self) -> None:
        self._stopping = True


def _stop(running: Mapping[Any, Any]) -> None:
    """Ends trainers, by reference to what they do; those at work save first."""
    ray = import_ray()
    told = {actor.stop.remote(): reference for reference, actor in running.items()}
    heard, _ = ray.wait(list(told), num_returns=len(told), timeout=_HEARING_S)
    ends = [told[answer] for answer in heard]
    ray.wait(ends, num_returns=len(ends))
    for actor in running.values():
        ray.kill(actor)


def _result(reference: Any) -> int:
    """A trainer's answer; -1 where it, or its node, is no more."""
    ray = import_ray()
    try:
        return int(ray.get(reference))
    except ray.exceptions.RayError:
        return -1
