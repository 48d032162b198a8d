"""Configuration: typed, frozen, strict about keys, with messages for the person who made the mistake.

Defaults < preset < command line. The resolved configuration is stored with its run, and a stopped run accepts
only changes that leave what it computes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

SCHEMA_VERSION = 1


class Config(BaseModel):
    """A section of the configuration. Validators raise ValueError with one line: cause and fix."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_not_booleans(cls, value: Any, info: Any) -> Any:
        # pydantic would take true for 1.
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation in (int, float):
            raise ValueError(f"should be a number, not {str(value).lower()}")
        return value


def name_of(section: Any) -> Any:
    """Discriminator of sections that are told apart by their `name`; pydantic's own bars the validator above."""
    return section.get("name") if isinstance(section, Mapping) else getattr(section, "name", None)


class CheckpointConfig(Config):
    """When checkpoints are written (iterations) and how many are kept besides the best."""

    every: PositiveInt = 10
    keep: PositiveInt = 2


class EvaluateConfig(Config):
    """When the experiment is graded (iterations, 0 = never) and the metric whose best value is kept.

    patience: evaluations in a row without a better one after which the run ends, before its budget; without, never.
    device: evaluate in a process beside training on this device; without one training waits for its evaluations.
    """

    every: NonNegativeInt = 20
    best: str | None = None
    patience: PositiveInt | None = None
    device: str | None = None

    @model_validator(mode="after")
    def _patience_for_something(self) -> Self:
        if self.patience is not None and (self.best is None or not self.every):
            raise ValueError("patience waits for a better evaluate.best: name that metric, and an evaluate.every")
        return self


class TrackingConfig(Config):
    """W&B. "auto" is online when a key is there, else offline."""

    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    project: str = "rivals"
    group: str | None = None


class ClusterConfig(Config):
    """Workers beside the learner, on Ray; see `cluster`.

    workers: processes that play; with 0 the learner's own does. learners: processes that share each batch, data
    parallel, each with the share of a worker or a GPU of its own. address: "host:port" of a running cluster, or "auto"
    for the one on this machine; left out, $RAY_ADDRESS, which jobs of a cluster have, else a cluster is started here.
    worker_cpus, worker_gpus: each worker's share, such as 0.25 of a GPU. One without a share of a GPU computes on the
    CPU; left out, the GPUs are dealt out evenly if the learner has one. worker_threads: of a worker's operations, as
    many as its CPUs unless given.
    learner_cpus, learner_gpus: reserved for the one learner of a run sent with `lab submit`, on any node that has them;
    with 0 it runs on the head and shares what is there.
    results_ahead: calls that a worker may have been given beyond those collected, which bounds its unread results.
    max_lag: versions of the weights by which the oldest call that is out may lie behind; 0 keeps in step.
    place_timeout_s: within which the workers must have found room. hang_timeout_s: after which a call that has not
    come back has its worker replaced. evaluator: grading runs in a worker of its own, beside training;
    without other workers on the CPU, unless worker_gpus gives it a share.
    dashboard: of a cluster that is started here, at 127.0.0.1. worker_logs: what workers print is shown.
    """

    workers: NonNegativeInt = 0
    learners: PositiveInt = 1
    address: str | None = None
    worker_cpus: NonNegativeFloat = 1.0
    worker_gpus: NonNegativeFloat | None = None
    worker_threads: PositiveInt | None = None
    learner_cpus: NonNegativeFloat = 0.0
    learner_gpus: NonNegativeFloat = 0.0
    results_ahead: PositiveInt = 2
    max_lag: NonNegativeInt = 4
    place_timeout_s: PositiveFloat = 120.0
    hang_timeout_s: PositiveFloat = 600.0
    evaluator: bool = False
    dashboard: bool = False
    worker_logs: bool = False

    @property
    def has_workers(self) -> bool:
        """Whether the run has worker processes: actors or an evaluator."""
        return self.workers > 0 or self.evaluator

    @property
    def used(self) -> bool:
        """Whether the run takes place on a cluster."""
        return self.has_workers or self.learners > 1

    @model_validator(mode="after")
    def _workers_first(self) -> Self:
        if self.address and not self.used:
            raise ValueError("address has no effect without workers; set cluster.workers, say to 2")
        if self.worker_gpus is not None and self.worker_gpus > 1 and self.worker_gpus % 1:
            raise ValueError(
                f"worker_gpus {self.worker_gpus:g} is neither a part of one GPU nor a whole number of them"
            )
        return self


class ExperimentConfig(Config):
    """What every kind of experiment has in common; each kind adds its own sections.

    `budget` is the value of the experiment's progress counter at which the run is complete. `perturbable` are dotted
    keys that a copy of a run may set otherwise: its state fits every value, and the next iteration goes by it.
    """

    perturbable: ClassVar[tuple[str, ...]] = ()
    supports_workers: ClassVar[bool] = False
    """Whether `cluster.workers` may be set: the kind has self-play that workers can do."""
    supports_evaluator: ClassVar[bool] = False
    """Whether checkpoints can be evaluated beside training: `cluster.evaluator` and `evaluate.device`."""
    supports_learners: ClassVar[bool] = False
    """Whether `cluster.learners` may be larger than 1: ranks compute parts of each batch."""

    schema_version: int = SCHEMA_VERSION
    kind: str
    description: str = ""
    seed: NonNegativeInt = 0
    device: str = "auto"
    threads: PositiveInt | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    budget: PositiveInt
    checkpoint: CheckpointConfig = CheckpointConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    tracking: TrackingConfig = TrackingConfig()
    cluster: ClusterConfig = ClusterConfig()

    @model_validator(mode="after")
    def _no_bf16_on_cpu(self) -> Self:
        if self.precision == "bf16" and self.device == "cpu":
            raise ValueError("precision=bf16 is slower than fp32 on a CPU; use precision=fp32 or a GPU")
        return self

    @model_validator(mode="after")
    def _cluster_is_supported(self) -> Self:
        if self.cluster.workers and not self.supports_workers:
            raise ValueError(f"experiments of kind {self.kind!r} have no workers; leave cluster.workers at 0")
        beside = {"cluster.evaluator": self.cluster.evaluator, "evaluate.device": self.evaluate.device is not None}
        for key, given in beside.items():
            if given and not self.supports_evaluator:
                raise ValueError(f"experiments of kind {self.kind!r} are evaluated where they train; leave {key} out")
        if all(beside.values()):
            raise ValueError("evaluate.device and cluster.evaluator both say where to evaluate; leave one out")
        if self.cluster.learners > 1 and not self.supports_learners:
            raise ValueError(
                f"experiments of kind {self.kind!r} learn in one process alone; leave cluster.learners at 1"
            )
        return self
