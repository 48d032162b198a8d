"""Configuration sections of every experiment: typed, frozen and strict about keys.

Defaults < preset < command line. The resolved configuration is stored with its run. A stopped run accepts only
changes that leave its numbers the same.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from lab.config.limits import Count, CountOrZero, Processes, ProcessesOrZero, Resources, Seconds, Seed, Threads
from lab.config.suggestions import shortened

SCHEMA_VERSION = 1


def not_boolean(value: Any) -> Any:
    """Raise ValueError for a boolean in place of a number: pydantic would read true as 1."""
    if isinstance(value, bool):
        raise ValueError(f"should be a number, not {str(value).lower()}")
    return value


class Config(BaseModel):
    """A section of the configuration. Validators raise ValueError with one line: cause and fix."""

    # 4,096 is the longest path of Linux.
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, str_max_length=4096, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_not_booleans(cls, value: Any, info: Any) -> Any:
        if value is None or (isinstance(value, int | float | str) and not isinstance(value, bool)):
            return value  # nearly every value
        types = _types_in(cls.model_fields[info.field_name].annotation)
        if bool not in types and types & {int, float}:
            inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
            for one in (value, *inside):
                not_boolean(one)
        return value


def _types_in(annotation: Any) -> set[Any]:
    """The plain types of an annotation such as `tuple[int, ...] | None`."""
    return {annotation}.union(*map(_types_in, typing.get_args(annotation))) if annotation.__hash__ else set()


def name_of(section: Any) -> Any:
    """Discriminator of a union of sections: their `name`. pydantic's own discriminator excludes the validator above."""
    return section.get("name") if isinstance(section, Mapping) else getattr(section, "name", None)


class CheckpointConfig(Config):
    """When checkpoints are written and how many are kept."""

    every: Count = Field(default=10, description="Iterations between checkpoints.")
    keep: Count = Field(default=2, description="Newest checkpoints that are kept, besides the best.")


class EvaluateConfig(Config):
    """When the experiment is evaluated, and the metric whose best value is kept."""

    every: CountOrZero = Field(default=20, description="Iterations between evaluations; 0 for none.")
    best: str | None = Field(default=None, description="Metric that chooses the best checkpoint, which is kept.")
    target: float | None = Field(
        default=None,
        description="Value of evaluate.best by which `lab bench record` measures the time to a fixed strength.",
    )
    patience: Count | None = Field(
        default=None, description="Evaluations without a better value of evaluate.best after which the run stops early."
    )
    device: str | None = Field(
        default=None,
        description="Device (cpu, cuda:1) of a process that evaluates beside training; by default training waits.",
    )

    @model_validator(mode="after")
    def _patience_needs_evaluations(self) -> Self:
        if self.patience is not None and (self.best is None or not self.every):
            raise ValueError("patience needs a metric and evaluations: set evaluate.best and evaluate.every")
        return self


def check_project(project: str) -> str:
    """Return the name of a W&B project; ValueError for one that W&B refuses."""
    if not 1 <= len(project) <= 128 or not project.isprintable() or set(project) & set("/\\#?%:"):
        raise ValueError(
            f"{shortened(project, 160)} cannot name a W&B project: 1 to 128 characters, none of / \\ # ? % :"
        )
    return project


class TrackingConfig(Config):
    """Tracking with W&B."""

    wandb: Literal["auto", "online", "offline", "off"] = Field(
        default="auto", description="W&B mode; auto is online where an API key is found, else offline."
    )
    project: str | None = Field(
        default=None,
        description="W&B project of the run; by default one for each kind, as in rivals-supervised.",
    )
    group: str | None = Field(
        default=None, max_length=128, description="W&B group of the run; the trials of a sweep have its name."
    )
    job_type: str = Field(default="train", max_length=64, description="W&B job type of the run.")
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(), max_length=100, description="W&B tags of the run."
    )
    notes: str = Field(
        default="", max_length=10_000, description="W&B notes of the run; by default the description of its preset."
    )

    @field_validator("project")
    @classmethod
    def _project_is_a_name(cls, project: str | None) -> str | None:
        return None if project is None else check_project(project)


class ClusterConfig(Config):
    """Workers, data-parallel learners and an evaluator on Ray."""

    workers: ProcessesOrZero = Field(
        default=0,
        description="Worker processes that play games or step environments; with 0 the learner's process does.",
    )
    learners: Processes = Field(default=1, description="Data-parallel learner processes (ranks) that share each batch.")
    address: str | None = Field(
        default=None,
        description="host:port of a running cluster, or auto for the one on this machine; "
        "by default $RAY_ADDRESS, else a cluster is started here.",
    )
    worker_cpus: Resources = Field(default=1.0, description="CPUs that each worker and learner reserves.")
    worker_gpus: Resources | None = Field(
        default=None,
        description="GPUs that each worker reserves, such as 0.25; 0 for the CPU. "
        "By default the GPUs are divided evenly if the learner uses one.",
    )
    worker_threads: Threads | None = Field(
        default=None, description="Threads of each worker and learner; by default the number of its CPUs."
    )
    learner_cpus: Resources = Field(
        default=0.0,
        description="CPUs that the single learner of `lab submit` reserves on any node; 0 for the head node.",
    )
    learner_gpus: Resources = Field(
        default=0.0, description="GPUs that the single learner of `lab submit` reserves on any node."
    )
    results_ahead: Processes = Field(
        default=2, description="Calls of each self-play worker that may wait to be collected."
    )
    max_lag: CountOrZero = Field(
        default=4,
        description="Largest policy lag of a pending call of self-play, in versions of the weights; 0 for none.",
    )
    place_timeout_s: Seconds = Field(default=120.0, description="Seconds to wait for the resources of the workers.")
    hang_timeout_s: Seconds = Field(
        default=600.0, description="Seconds after which a worker without answer is replaced."
    )
    evaluator: bool = Field(
        default=False,
        description="Evaluate checkpoints in a worker beside training; it needs storage shared with the learner.",
    )
    dashboard: bool = Field(
        default=False, description="Start Ray's dashboard, at 127.0.0.1, with a cluster started here."
    )
    worker_logs: bool = Field(default=False, description="Show the output of the workers.")

    @property
    def has_workers(self) -> bool:
        """Whether the run has worker processes: actors or an evaluator."""
        return self.workers > 0 or self.evaluator

    @property
    def used(self) -> bool:
        """Whether the run needs a cluster."""
        return self.has_workers or self.learners > 1

    @model_validator(mode="after")
    def _address_needs_workers(self) -> Self:
        if self.address and not self.used:
            raise ValueError("address has no effect without workers; set cluster.workers, say to 2")
        if self.worker_gpus is not None and self.worker_gpus > 1 and self.worker_gpus % 1:
            raise ValueError(f"worker_gpus {self.worker_gpus:g} should be a part of one GPU or a whole number of GPUs")
        return self


class ExperimentConfig(Config):
    """Settings of every kind of experiment; each kind adds sections of its own."""

    perturbable: ClassVar[tuple[str, ...]] = ()
    """Dotted keys that population based training may change: a checkpoint can be loaded under any value."""
    supports_workers: ClassVar[bool] = False
    """Whether `cluster.workers` may be set: the kind has self-play or environments that run in workers."""
    reproducible_workers: ClassVar[bool] = False
    """Whether runs with equally many workers are the same bit for bit, as long as none is lost."""
    supports_evaluator: ClassVar[bool] = False
    """Whether checkpoints can be evaluated beside training: `cluster.evaluator` and `evaluate.device`."""
    supports_learners: ClassVar[bool] = False
    """Whether `cluster.learners` may be larger than 1: ranks compute parts of each batch."""

    schema_version: int = Field(
        default=SCHEMA_VERSION, gt=0, le=SCHEMA_VERSION, description="Version of the configuration format."
    )
    kind: str = Field(description="Kind of experiment.")
    description: str = Field(default="", description="One line on the preset, shown by `lab list`.")
    seed: Seed = Field(default=0, description="Seed of all random numbers.")
    device: str = Field(default="auto", description="Device of training: auto, cpu, cuda, cuda:N or mps (a Mac).")
    threads: Threads | None = Field(default=None, description="Threads of operations on the CPU; by default PyTorch's.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="Floating-point precision of networks; auto is bf16 on GPUs that have it, measured on a CPU.",
    )
    budget: Count = Field(description="Value of the progress counter at which the run is complete.")
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    tracking: TrackingConfig = TrackingConfig()
    cluster: ClusterConfig = ClusterConfig()

    @model_validator(mode="after")
    def _cluster_is_supported(self) -> Self:
        if self.cluster.workers and not self.supports_workers:
            raise ValueError(f"experiments of kind {self.kind!r} have no workers; leave cluster.workers at 0")
        beside = {"cluster.evaluator": self.cluster.evaluator, "evaluate.device": self.evaluate.device is not None}
        for key, given in beside.items():
            if given and not self.supports_evaluator:
                raise ValueError(
                    f"experiments of kind {self.kind!r} train and evaluate in one process; leave {key} out"
                )
        if all(beside.values()):
            raise ValueError("evaluate.device and cluster.evaluator both say where to evaluate; leave one out")
        if self.cluster.learners > 1 and not self.supports_learners:
            raise ValueError(
                f"experiments of kind {self.kind!r} train in a single process; leave cluster.learners at 1"
            )
        return self
