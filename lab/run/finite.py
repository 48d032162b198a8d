"""Weights that are NaN or infinite are refused before anything is computed with them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.errors import CheckpointError

_NO_WEIGHTS = ("optimizer", "actors")  # moments may overflow, and states of games hold any number


def refuse_non_finite(state: Any, checkpoint: Path) -> None:
    """Raise CheckpointError, one line, where a tensor of an experiment's state is NaN or infinite.

    Training never saves such weights: they come from another program, or from a loss that does not see them.
    """
    name = _first_non_finite(state)
    if name is not None:
        raise CheckpointError(
            f"{checkpoint}: {name} holds NaN or infinite values; choose an earlier checkpoint with --checkpoint"
        )


def _first_non_finite(state: Any, path: str = "") -> str | None:
    if isinstance(state, Tensor):
        is_number = state.is_floating_point() and state.numel() > 0
        return path if is_number and not bool(torch.isfinite(state).all()) else None
    for key, value in _items(state):
        if str(key).startswith(_NO_WEIGHTS):
            continue
        found = _first_non_finite(value, f"{path}.{key}" if path else str(key))
        if found is not None:
            return found
    return None


def _items(state: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        return state.items()
    return enumerate(state) if isinstance(state, list | tuple) else ()
