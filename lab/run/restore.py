"""Restoring an experiment from a checkpoint whose files are whole and whose content is untrusted."""

from collections.abc import Mapping
from typing import Any

import torch

from lab.errors import CheckpointError, UserError
from lab.files.plain import is_count
from lab.run.checkpoint import Checkpoint
from lab.run.experiment import Experiment
from lab.run.loop_state import LoopState
from lab.train import random_state


def restore_experiment(experiment: Experiment, found: Checkpoint) -> LoopState:
    """Load a checkpoint into an experiment; returns the state of the run loop.

    Raises CheckpointError, without the path, for any state that cannot be loaded, whatever the reason: the caller takes
    an earlier one. Raises the experiment's own UserError where something else is at fault, such as changed data.
    """
    try:
        state = found.state
        loop = LoopState.from_state(state["loop"])
        if loop.iteration != found.manifest.iteration:
            raise CheckpointError(f"its state is of iteration {loop.iteration}, not {found.manifest.iteration}")
        experiment.load_state_dict(state["experiment"])
        counters = dict(experiment.counters)
        if not all(is_count(value) for value in counters.values()) or counters != found.manifest.counters:
            raise CheckpointError("the counters of its state are not those of its manifest")
        _check_random(state["random"])
        if not isinstance(state["machine"], Mapping):
            raise TypeError("the properties of the machine are not a mapping")
        return loop
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CheckpointError(f"its state cannot be loaded ({reason:.200})") from error


def _check_random(states: dict[str, Any]) -> None:
    """Raise what `random_state.restore` raises; the global generators keep their states."""
    before = random_state.capture()
    try:
        random_state.restore(states)
    finally:
        random_state.restore(before)
