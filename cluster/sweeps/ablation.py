"""An ablation: runs of a preset in which one switch at a time is turned on or off, compared at equal cost.

Every seed has a baseline and one run for each switch. All train for the same budget, scaled by `Switch.progress`; a run
that ended with less cost or less time than its baseline is continued until it has both. Then the value of the metric is
read off its curve where the baseline ended, at the same cost and at the same seconds of training.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from cluster.sweeps.equal_cost import Gain, Point, gain, points, value_at
from cluster.sweeps.trial_runners import RunTrials
from lab.config.ablation import Ablation, Switch
from lab.config.loading import load_preset
from lab.errors import UserError
from lab.files import durable
from lab.run.interrupt import Interrupt
from lab.run.metrics import read
from lab.run.run_dir import CONFIG
from lab.terminal.streams import say

PLAN, RESULTS = "plan.json", "ablation.json"
BASELINE = "baseline"
_MARGIN = 1.03  # of a continued budget: games and iterations end after it
_CONTINUATIONS = 4


@dataclass(frozen=True)
class AblationPlan:
    """What is compared.

    removed: the baseline has all switches on, and each run has one of them off; otherwise each has one on.
    budget: of the baseline, in progress. metric: of the evaluations, higher or lower is better.
    """

    preset: str
    overrides: Sequence[str]
    switches: Mapping[str, Switch]
    removed: bool
    seeds: int
    budget: int
    metric: str
    higher_is_better: bool
    ablation: Ablation

    def variants(self) -> list[str]:
        """The baseline and the name of each switch."""
        return [BASELINE, *self.switches]

    def switched_on(self, variant: str) -> list[str]:
        """The switches that are on in the runs of a variant."""
        if self.removed:
            return [name for name in self.switches if name != variant]
        return [name for name in self.switches if name == variant]

    def settings(self, variant: str, seed: int) -> list[str]:
        """The overrides of a run, its budget included."""
        names = self.switched_on(variant)
        on = [self.switches[name] for name in names]
        off = [override for name, switch in self.switches.items() if name not in names for override in switch.off]
        budget = float(self.budget)
        for switch in on:
            budget *= switch.progress
        switched = [override for switch in on for override in switch.overrides]
        # Without early stopping: all runs must reach the cost of the baseline.
        return ["evaluate.patience=null", *off, *self.overrides, *switched, f"seed={seed}", f"budget={round(budget)}"]

    def trials(self) -> dict[str, tuple[str, int]]:
        """Name of each run -> its variant and seed, seed by seed, so that an early end leaves whole pairs."""
        return {f"{variant}-seed{seed}": (variant, seed) for seed in range(self.seeds) for variant in self.variants()}

    def as_record(self) -> dict[str, Any]:
        """What two plans must share for the second to continue the runs of the first."""
        return {
            "preset": self.preset,
            "removed": self.removed,
            "metric": self.metric,
            "settings": {name: self.settings(*trial) for name, trial in self.trials().items()},
        }


@dataclass(frozen=True)
class Row:
    """A variant: means over its seeds at the baseline's cost and seconds, and its gains, NaN where there is none.

    A gain is that of the switch: of having it on, whichever way round the plan is.
    """

    variant: str
    at_cost: float
    at_seconds: float
    gain_at_cost: Gain | None
    gain_at_seconds: Gain | None
    cost: float
    seconds: float


def check(plan: AblationPlan) -> None:
    """Raise UserError for settings that do not go together, before anything is trained."""
    for variant in plan.variants():
        config = load_preset(plan.preset, plan.settings(variant, 0))
        if config.cluster.used:
            raise UserError(
                "a run of an ablation is one process; leave cluster.workers at 0, cluster.learners at 1 and "
                "cluster.evaluator off"
            )


def prepare(plan: AblationPlan, folder: Path) -> None:
    """Make the folder, or accept one in which the same plan was begun. Raises UserError for another plan's."""
    record, path = plan.as_record(), folder / PLAN
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == record:
        return
    if folder.exists():
        raise UserError(f"{folder} holds something else: give the ablation another --name, or repeat its first command")
    folder.mkdir(parents=True)
    durable.write_durably(path, json.dumps(record, indent=1).encode())


def train(plan: AblationPlan, folder: Path, run_trials: RunTrials, interrupt: Interrupt) -> None:
    """Train all runs until each has the cost and the seconds of its baseline. Raises UserError where one fails."""
    commands = {name: _train(plan, name, folder) for name in plan.trials()}
    for continuation in range(_CONTINUATIONS + 1):
        failed = run_trials(commands, interrupt)
        if interrupt:
            return
        if failed:
            logs = ", ".join(str(folder / f"{name}.log") for name in sorted(failed))
            raise UserError(f"{len(failed)} runs of the ablation failed; see {logs}")
        commands = {name: _resume(folder / name, budget) for name, budget in _short(plan, folder).items()}
        if not commands:
            return
        if continuation < _CONTINUATIONS:
            say(f"{', '.join(commands)}: continued to the cost and the time of the baseline")


def table(plan: AblationPlan, folder: Path) -> list[Row]:
    """The baseline's row, then those of the switches. Raises UserError where a run is not long enough."""
    curves = {trial: _curve(plan, folder / name) for name, trial in plan.trials().items()}
    ends = [curves[BASELINE, seed][-1] for seed in range(plan.seeds)]

    def values(variant: str, axis: str) -> list[float]:
        try:
            return [value_at(curves[variant, seed], axis, getattr(end, axis)) for seed, end in enumerate(ends)]
        except ValueError as error:
            raise UserError(f"the runs of {variant} are too short: {error}") from None

    def gain_of(variant: str, axis: str) -> Gain | None:
        if variant == BASELINE:
            return None
        sign = (1 if plan.higher_is_better else -1) * (-1 if plan.removed else 1)
        return gain([sign * (a - b) for a, b in zip(values(variant, axis), values(BASELINE, axis), strict=True)])

    return [
        Row(
            variant,
            fmean(values(variant, "cost")),
            fmean(values(variant, "seconds")),
            gain_of(variant, "cost"),
            gain_of(variant, "seconds"),
            fmean(curves[variant, seed][-1].cost for seed in range(plan.seeds)),
            fmean(curves[variant, seed][-1].seconds for seed in range(plan.seeds)),
        )
        for variant in plan.variants()
    ]


def _short(plan: AblationPlan, folder: Path) -> dict[str, int]:
    """The runs that have less cost or seconds than their baseline -> the budget that should bring them there."""
    found = {}
    for name, (variant, seed) in plan.trials().items():
        if variant == BASELINE:
            continue
        end, own = _curve(plan, folder / f"{BASELINE}-seed{seed}")[-1], _curve(plan, folder / name)[-1]
        missing = max(end.cost / own.cost, end.seconds / own.seconds)
        if missing > 1.0:
            found[name] = round(own.progress * missing * _MARGIN)
    return found


def _curve(plan: AblationPlan, run: Path) -> list[Point]:
    curve = points(read(run / "metrics.jsonl"), plan.metric, progress=plan.ablation.progress, cost=plan.ablation.cost)
    if not curve:
        raise UserError(f"run {run} has no value of {plan.metric}; is evaluate.every longer than the budget?")
    return curve


def _train(plan: AblationPlan, name: str, folder: Path) -> list[str]:
    """The command that trains a run, or continues one that was stopped; a finished one ends at once."""
    if (folder / name / CONFIG).is_file():
        return [sys.executable, "-m", "lab", "resume", str((folder / name).resolve())]
    preset = str(Path(plan.preset).resolve()) if plan.preset.endswith(".yaml") else plan.preset
    settings = plan.settings(*plan.trials()[name])
    train = [sys.executable, "-m", "lab", "train", preset, *settings, f"tracking.group={folder.name}"]
    return [*train, "--name", name, "--resume", "--runs-dir", str(folder.resolve())]


def _resume(run: Path, budget: int) -> list[str]:
    return [sys.executable, "-m", "lab", "resume", str(run.resolve()), f"budget={budget}"]
