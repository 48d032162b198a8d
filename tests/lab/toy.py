"""A small experiment for tests of the run loop, and the `lab` command with it registered.

An MLP learns a fixed function from shuffled synthetic data, with an optimizer, averaged weights, dropout (the
global random state) and a data order of its own. As a script it is `lab` with the kind `toy`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from lab.config.loading import dump
from lab.config.registry import Kind, register_kind
from lab.config.sections import ExperimentConfig
from lab.errors import ExperimentStopped
from lab.plots.media import Image, Table, Text
from lab.run.evaluator import EvaluateState
from lab.run.experiment import Evaluation, Experiment
from lab.run.metrics import Catalogue, Metric
from lab.train.device import Device
from lab.train.modes import evaluating
from tests import command_line

CATALOGUE = Catalogue(
    [
        Metric("toy/loss", "", "mean squared error of the batch", "toy", higher_is_better=False),
        Metric("toy/score", "", "minus the error of the averaged network on held-out data", "toy", True),
    ]
)
KIND = Kind(
    config="tests.lab.toy:ToyConfig",
    build="tests.lab.toy:build",
    catalogue="tests.lab.toy:CATALOGUE",
    evaluator="tests.lab.toy:state_evaluator",
)

BLOCKED_BY = "TOY_BLOCKED_BY"
"""Environment variable that names a file; evaluations do not end while it exists."""


class ToyConfig(ExperimentConfig):
    """`pause_s` lengthens iterations, `evaluation_s` evaluations.

    The loss of iteration `nan_at` is NaN; iteration `stopped_at` raises ExperimentStopped.
    """

    supports_evaluator: ClassVar[bool] = True

    batch: int = 8
    pause_s: float = 0.0
    evaluation_s: float = 0.0
    nan_at: int | None = None
    stopped_at: int | None = None


class Toy(Experiment):
    """The experiment; progress is counted in samples."""

    progress = "samples"
    catalogue = CATALOGUE

    def __init__(self, config: ToyConfig) -> None:
        self._config = config
        self._samples = 0
        self.network = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.Linear(16, 1))
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-2)
        self.order = np.random.default_rng(config.seed)
        self.inputs = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
        self.targets = self.inputs.prod(dim=1, keepdim=True)

    @property
    def counters(self) -> dict[str, int]:
        return {"samples": self._samples}

    def iterate(self) -> dict[str, float]:
        time.sleep(self._config.pause_s)
        if self.counters["samples"] + self._config.batch == (self._config.stopped_at or 0) * self._config.batch:
            raise ExperimentStopped("nobody is left to work")
        rows = torch.from_numpy(self.order.permutation(192)[: self._config.batch])
        loss = nn.functional.mse_loss(self.network(self.inputs[rows]), self.targets[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for name, value in self.network.state_dict().items():
            self.average[name] = torch.lerp(self.average[name].float(), value.float(), 0.1).to(value.dtype)
        self._samples += self._config.batch
        failed = self.counters["samples"] == (self._config.nan_at or -1) * self._config.batch
        return {"toy/loss": float("nan") if failed else loss.item()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "counters": self.counters,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "order": dict(self.order.bit_generator.state),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._samples = state["counters"]["samples"]
        self.network.load_state_dict(state["network"])
        self.average = dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.bit_generator.state = state["order"]

    def evaluate(self) -> Evaluation:
        time.sleep(self._config.evaluation_s)
        while Path(os.environ.get(BLOCKED_BY, "")).is_file():
            time.sleep(0.1)
        torch.rand(3)  # an evaluation that draws numbers must not change training
        with torch.no_grad(), evaluating(self.network):
            output = torch.func.functional_call(self.network, self.average, self.inputs[192:])
        score = -nn.functional.mse_loss(output, self.targets[192:]).item()
        table = Table("toy/table", ["sample", "output"], [[i, output[i].item()] for i in range(3)])
        image = Image("toy/picture", np.full((8, 8, 3), 127, dtype=np.uint8), caption="grey")
        return Evaluation({"toy/score": score}, [table, image, Text("toy/text", "x < y")])


def state_evaluator(config: ToyConfig, directory: Path, device: Device) -> EvaluateState:
    """Evaluation of the toy's checkpoints."""

    def evaluate(state: Mapping[str, Any], counters: Mapping[str, int]) -> Evaluation:
        toy = Toy(config)
        toy.load_state_dict(state)
        return toy.evaluate()

    return evaluate


def build(config: ToyConfig, directory: Path, device: Device) -> Toy:
    """The toy experiment."""
    return Toy(config)


def config(**changes: Any) -> ToyConfig:
    """20 iterations, a checkpoint and an evaluation every 5, without tracking."""
    settings: dict[str, Any] = {
        "kind": "toy",
        "budget": 160,
        "threads": 1,
        "checkpoint": {"every": 5},
        "evaluate": {"every": 5, "best": "toy/score"},
        "tracking": {"wandb": "off"},
    }
    return ToyConfig.model_validate(settings | changes)


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "toy.yaml"
    path.write_text(dump(config(**changes)))
    return path


def launch(*arguments: str | Path) -> subprocess.Popen[str]:
    """`lab ARGUMENTS` in a process of its own, with the toy kind."""
    return command_line.launch(*arguments, module="tests.lab.toy")


def lab(*arguments: str | Path, code: int = 0) -> str:
    """Run `lab ARGUMENTS`, with the toy kind, to its end; returns both outputs."""
    return command_line.lab(*arguments, code=code, module="tests.lab.toy")


def main() -> None:
    """`lab` with the toy kind."""
    from lab.cli.main import main as lab_main

    torch.set_num_threads(1)
    register_kind("toy", KIND)
    sys.exit(lab_main())


if __name__ == "__main__":
    main()
