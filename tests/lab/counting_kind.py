"""The smallest kind of experiment: it counts steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import typer
from pydantic import PositiveInt, model_validator

from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.config.registry import Kind
from lab.config.sections import CheckpointConfig, Config, ExperimentConfig
from lab.run.experiment import Evaluation, Experiment
from lab.run.lookup import RUNS_DIR, find_run
from lab.run.metrics import Catalogue, Metric
from lab.train.device import Device

HERE = "tests.lab.counting_kind"
CATALOGUE = Catalogue([Metric("count/half", "steps", "half the steps", "count", higher_is_better=True)])


class Search(Config):
    simulations: PositiveInt = 32
    variant: Literal["gumbel", "puct"] = "gumbel"
    fraction: float | None = None
    stages: tuple[CheckpointConfig, ...] = ()


class CountingConfig(ExperimentConfig):
    stride: PositiveInt = 1
    rate: float = 0.1
    flag: bool = False
    search: Search = Search()
    horizon: PositiveInt | None = None  # the first budget, unless given

    @model_validator(mode="before")
    @classmethod
    def _horizon_is_the_first_budget(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("horizon") is None and "budget" in data:
            return {**data, "horizon": data["budget"]}
        return data

    @model_validator(mode="after")
    def _stride_divides_budget(self) -> Self:
        if self.budget % self.stride:
            raise ValueError(f"stride={self.stride} does not divide budget={self.budget}")
        return self


class Counting(Experiment):
    progress = "steps"
    catalogue = CATALOGUE

    def __init__(self, stride: int) -> None:
        self.stride, self.steps = stride, 0

    @property
    def counters(self) -> Mapping[str, int]:
        return {"steps": self.steps}

    def iterate(self) -> dict[str, float]:
        self.steps += self.stride
        return {"count/half": self.steps / 2}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = state["steps"]

    def evaluate(self) -> Evaluation:
        return Evaluation()


def build(config: CountingConfig, directory: Path, device: Device) -> Counting:
    return Counting(config.stride)


def grade(
    run: Run,
    strictness: Annotated[int, typer.Option(help="How strict.")] = 1,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Grade a counting run."""
    print_json({"run": find_run(run, runs_dir).name, "strictness": strictness})


KIND = Kind(f"{HERE}:CountingConfig", f"{HERE}:build", {"eval": f"{HERE}:grade"}, f"{HERE}:CATALOGUE")
