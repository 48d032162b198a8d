"""Loading a trained run: its configuration and the state of one of its checkpoints."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lab.config.loading import load_run_config
from lab.config.sections import ExperimentConfig
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint as checkpoints
from lab.run.finite import refuse_non_finite
from lab.run.origin import origin_of

_log = logging.getLogger(__name__)
C = TypeVar("C", bound=ExperimentConfig)


@dataclass(frozen=True)
class TrainedRun(Generic[C]):
    """A run's configuration, the experiment's `state_dict` at a checkpoint, the checkpoint's path and iteration."""

    config: C
    state: Mapping[str, Any]
    checkpoint: Path
    iteration: int

    @contextmanager
    def restoring(self, what: str = "network") -> Iterator[Mapping[str, Any]]:
        """The state, for rebuilding networks; raises CheckpointError that names `what` if it does not fit."""
        try:
            yield self.state
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
            raise CheckpointError(f"{self.checkpoint}: its {what} is not that of the run's config.yaml") from None


def load_run(path: Path, config_class: type[C], checkpoint: str = checkpoints.BEST) -> TrainedRun[C]:
    """Read a run directory, or one of its checkpoint directories.

    checkpoint: "best" (the latest where none is marked), "latest" or an iteration of a run directory. Raises UserError
    where there is no such checkpoint, the run is of another kind or its weights are NaN.
    """
    is_checkpoint = path.parent.name == "checkpoints"
    run = path.parent.parent if is_checkpoint else path
    config = load_run_config(run / "config.yaml")
    if not isinstance(config, config_class):
        wanted = config_class.model_fields["kind"].default
        raise UserError(f"{run} is a run of kind {config.kind!r}, not {wanted}")
    chosen = path if is_checkpoint else checkpoints.choose(run, checkpoint, _log.warning)
    state, manifest = checkpoints.load(chosen, origin_of(run))
    experiment = state.get("experiment")
    if not isinstance(experiment, dict):
        raise CheckpointError(f"{chosen}: its state is damaged (it holds no experiment)")
    refuse_non_finite(experiment, chosen)
    return TrainedRun(config, experiment, chosen, manifest.iteration)
