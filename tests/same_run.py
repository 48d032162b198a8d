"""Whether two runs computed the same, bit for bit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.run import checkpoint, metrics

_MEASURED = ("_s", "_mb", "_per_h")  # seconds, speeds and memory, by the unit in their names


def final_state(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The newest checkpoint without what is measured rather than computed."""
    path = checkpoint.latest_valid(run / "checkpoints", pytest.fail)
    assert path is not None
    state, _ = checkpoint.load(path)
    del state["loop"]["seconds"]
    return state, {"iteration": int(path.name)}


def computed_metrics(run: Path) -> list[tuple[int, dict[str, int], dict[str, float]]]:
    """Every line of metrics.jsonl without what is measured rather than computed."""
    entries = metrics.read(run / "metrics.jsonl")
    kept = [
        (e.iteration, e.counters, {k: v for k, v in e.metrics.items() if not k.endswith(_MEASURED)}) for e in entries
    ]
    return [entry for entry in kept if entry[2]]


def assert_same_bits(one: Any, other: Any, path: str = "") -> None:
    """Equal types, shapes and bits, down to the leaves of nested state."""
    assert type(one) is type(other), path
    if isinstance(one, Mapping):
        assert list(one) == list(other), path
        for key in one:
            assert_same_bits(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_same_bits(first, second, f"{path}/{index}")
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape, path
        assert one.cpu().numpy().tobytes() == other.cpu().numpy().tobytes(), path
    else:
        assert repr(one) == repr(other), path


def assert_same_run(one: Path, other: Path) -> None:
    """The same final checkpoint and the same metrics at every iteration."""
    assert_same_bits(final_state(one), final_state(other))
    assert computed_metrics(one) == computed_metrics(other)
