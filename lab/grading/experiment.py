"""The grading experiment: a network beside a linear part, trained on graded essays."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab import rng
from lab.data.order import indices
from lab.errors import CheckpointError
from lab.files.plain import same_form
from lab.grading.calibration import Calibration, calibrate
from lab.grading.config import GradingConfig
from lab.grading.data import check_same_data, prepare
from lab.grading.encoding import random_order
from lab.grading.evaluation import agreement
from lab.grading.figures import scatter
from lab.grading.grader import GraderNetwork, Scored, batched
from lab.grading.memory import data_needs, training_needs
from lab.grading.metrics import CATALOGUE
from lab.grading.network import EssayBatch
from lab.plots.images import save_png
from lab.plots.media import Image
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at, warn_of_early_decay
from lab.train.measured_precision import for_gradient_steps
from lab.train.modes import evaluating
from lab.train.step import GradientStep, LossSum, StepResult, mean_of

_MOVED = 200  # validation essays that are also read in random order


class Grading(Experiment):
    """Essays, their linear part, a network and its gradient step."""

    progress = "examples"
    catalogue = CATALOGUE

    def __init__(self, config: GradingConfig, directory: Path, device: Device) -> None:
        self.config, self._directory, self._device = config, directory, device
        memory_needs.check(data_needs(config), device)
        self.data = prepare(config)
        self._fingerprint = self.data.essays.fingerprint
        memory_needs.check(training_needs(config, self.data, device), device)
        self.network = GraderNetwork(config, self.data.encoder, self.data.grades)
        self.network.to(device.device)
        self.network.set_padding(device.device)
        assert config.training.decay_examples is not None, "set from the budget by the configuration"
        self._period = config.training.decay_examples
        rows = config.training.rows_at_once(config.training.batch_size)
        measured = for_gradient_steps(
            directory,
            device,
            self.network,
            lambda network, part: self._losses(network, self._batch(0, rows), part),
            rows=rows,
        )
        self._gradient_step = GradientStep(self.network, config.training, measured, heads=self.network.essays.heads)
        warn_of_early_decay(config.training, config.budget, self._period, "examples")
        self._examples = 0

    @property
    def counters(self) -> dict[str, int]:
        return {"examples": self._examples}

    def iterate(self) -> dict[str, float]:
        """Train on at least `examples_per_iteration` essays."""
        start, first = time.perf_counter(), self._examples
        steps: list[StepResult] = []
        while self._examples < first + self.config.training.examples_per_iteration:
            rate = self._learning_rate
            steps.append(self.step())
        means = mean_of(steps)  # waits for the device, so that the time counts the work
        seconds = time.perf_counter() - start
        return {
            "loss/total": float(means.loss),
            "train/gradient_norm": float(means.gradient_norm),
            "train/learning_rate": rate,
            "train/samples_per_s": (self._examples - first) / seconds,
        }

    def step(self, rate: float | None = None) -> StepResult:
        """One batch, at the learning rate of the schedule unless `rate` is given."""
        self.network.train()
        size = self.config.training.batch_size
        step = self._gradient_step(
            partial(self._losses, self.network, self._batch(self._examples, size)),
            rows=size,
            learning_rate=self._learning_rate if rate is None else rate,
            micro_batch=self.config.training.micro_batch,
        )
        self._examples += size
        return step

    def evaluate(self) -> Evaluation:
        """Metrics of the validation essays, whose predictions also choose the thresholds."""
        data, rows = self.data, self.data.validation
        scored = self._read(rows)
        found = self._calibrated(scored)
        truth = data.scale.restore(data.scores[rows])
        values = agreement(truth, found.predictions, found.thresholds)
        if self.config.network.linear:
            linear = data.scale.restore(data.encoded.base[rows])
            values["eval/linear_qwk"] = agreement(truth, linear, found.of(linear[:, 0]))["eval/qwk"]
        orders = self._random_orders(dict(enumerate(rows[:_MOVED])), 0)
        moved = self._read(rows[:_MOVED], orders)
        changed = (data.scale.restore(moved.scores) - data.scale.restore(scored.scores[:_MOVED]))[list(orders), 0]
        values |= {
            "eval/loss": _loss(scored, moved, data.scores[rows, 0], self.config.training.shuffled),
            "eval/shuffled_change": float(changed.mean()) if orders else 0.0,
            "eval/shuffled_lower": float((changed < 0.0).mean()) if orders else 0.0,
            "eval/interval": found.half_width,
        }
        pixels = scatter(truth[:, 0], found.predictions[:, 0], data.essays.names[0])
        save_png(self._directory / "samples" / f"validation_{self._examples:09d}.png", pixels)
        return Evaluation(values, [Image("validation", pixels)])

    def state_dict(self) -> dict[str, Any]:
        data = self.data
        return {
            "network": self.network.state_dict(),
            "optimizer": self._gradient_step.state_dict(),
            "examples": self._examples,
            "data": self._fingerprint,
            "names": list(data.essays.names),
            "encoder": data.encoder.to_state(),
            "base": torch.from_numpy(data.encoded.base),
            "grades": [torch.from_numpy(grades) for grades in data.grades],
            "scale": {"mean": torch.from_numpy(data.scale.mean), "deviation": torch.from_numpy(data.scale.deviation)},
            "calibration": self._calibrated(self._read(data.validation)).to_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        data = self.data
        check_same_data(self.config.data, data.essays, str(state.get("data")))
        own = self.state_dict()
        for name in ("names", "encoder", "base", "grades", "scale", "calibration"):
            _check_form(state[name], own[name], name)
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError:
            raise CheckpointError("its network is not the one of this run's config.yaml") from None
        self._gradient_step.load_state_dict(state["optimizer"])
        # The closed form is solved again on every start: another number of threads rounds it differently.
        data.encoded.base[:] = state["base"].numpy()
        if data.encoder.weights is not None:
            data.encoder.weights[:] = state["encoder"]["weights"].numpy()
        self._examples = state["examples"]

    @property
    def _learning_rate(self) -> float:
        return learning_rate_at(self.config.training, self._examples, self._period)

    def _batch(self, start: int, count: int) -> EssayBatch:
        """Training examples start to start + count."""
        training, seed = self.config.training, self.config.seed
        rows = indices(len(self.data.training), seed, start, count)
        targets = self.data.scores[rows]
        orders: dict[int, np.ndarray] = {}
        if training.shuffled:
            chosen = rng.uniform(seed, int(rng.Stream.ESSAY), 3, torch.arange(start, start + count)) < training.shuffled
            orders = self._random_orders({at: rows[at] for at in chosen.nonzero()[:, 0].tolist()}, start)
            targets[list(orders)] = np.nan  # nobody graded it
        return self.data.encoded.batch(rows, targets, orders).to(self._device.device)

    def _losses(self, network: Any, batch: EssayBatch, rows: slice) -> LossSum:
        found: LossSum = network.loss(batch.part(rows))
        return found

    def _calibrated(self, scored: Scored) -> Calibration:
        """Of what the network says of the validation essays."""
        data = self.data
        truth = data.scale.restore(data.scores[data.validation])[:, 0]
        return calibrate(data.scale.restore(scored.scores), truth, data.essays.grades, self.config.evaluate.coverage)

    def _random_orders(self, rows: Mapping[int, int], number: int) -> dict[int, np.ndarray]:
        """Random orders of the sentences of encoded essays by place, without those that change nothing.

        The essay at place i is example `number` + i.
        """
        orders = {
            at: random_order(len(self.data.encoded.tokens[row]), self.config.seed, number + at)
            for at, row in rows.items()
        }
        return {at: order for at, order in orders.items() if (order != np.arange(len(order))).any()}

    def _read(self, rows: np.ndarray, orders: Mapping[int, np.ndarray] | None = None) -> Scored:
        """Rows of the encoded essays; orders: as in `Encoded.batch`."""
        with evaluating(self.network):
            return batched(self.network, self.data.encoded, rows, self._device.device, orders)


def _loss(scored: Scored, moved: Scored, truth: np.ndarray, shuffled: float) -> float:
    """Squared error of the standardized scores [N] but for the offset, and where it is learned the cross-entropy of
    telling random orders, a fraction `shuffled` of which are in training.

    moved: the first essays in random order.
    """
    loss = float((scored.scores[:, 0] - truth).var())
    if scored.shuffled_logit is None or moved.shuffled_logit is None:
        return loss
    in_order, random = np.logaddexp(0.0, scored.shuffled_logit).mean(), np.logaddexp(0.0, -moved.shuffled_logit).mean()
    return loss + float((1.0 - shuffled) * in_order + shuffled * random)


def _check_form(value: Any, own: Any, name: str) -> None:
    """Raise CheckpointError unless values are of the form of the run's own, and texts and counts are these."""
    if isinstance(own, Mapping):
        if not isinstance(value, Mapping) or list(value) != list(own):
            raise CheckpointError(f"its {name} are damaged")
        for key in own:
            _check_form(value[key], own[key], f"{name}.{key}")
    elif isinstance(own, Tensor):
        same_form(value, own, name)
    elif isinstance(own, list) and own and isinstance(own[0], Tensor):
        if not isinstance(value, list) or len(value) != len(own):
            raise CheckpointError(f"its {name} are damaged")
        for number, (one, other) in enumerate(zip(value, own, strict=True)):
            same_form(one, other, f"{name}.{number}")
    elif isinstance(own, float):
        if not isinstance(value, float):
            raise CheckpointError(f"its {name} is no number")
    elif value != own:
        raise CheckpointError(f"its {name} is not that of the essays")


def build(config: GradingConfig, directory: Path, device: Device) -> Grading:
    """The experiment of a run directory; see `lab.config.registry.Kind.build`."""
    return Grading(config, directory, device)
