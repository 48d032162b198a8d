"""Checkpoints whose content nobody wrote and whose hashes are right."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from lab.run import checkpoint

Path_ = tuple[Any, ...]


def nested(depth: int) -> Any:
    """Lists in lists, deeper than a state ever is."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: list[Any] = [None, "text", -1, 2**70, 1.5, float("nan"), True, [], {}, {"a": 1}, nested(100)]
TENSORS = [torch.zeros(3, 1, 2), torch.zeros(()), torch.zeros(0), torch.full((2,), -1)]


def paths(state: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every place in nested state, containers included; of long lists only the first entries."""
    if path:
        yield path
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from paths(value, (*path, key))
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state[:3]):
            yield from paths(value, (*path, index))


def replaced(state: Any, path: Path_, value: Any) -> Any:
    """A copy of nested state with another value at `path`; `...` removes it."""
    key, *rest = path
    copy = dict(state) if isinstance(state, Mapping) else list(state)
    if rest:
        copy[key] = replaced(copy[key], tuple(rest), value)
    elif value is ...:
        del copy[key]
    else:
        copy[key] = value
    return copy


def rewrite(path: Path, name: str, data: bytes) -> None:
    """Replace a file of a checkpoint and enter its hash and size in the manifest."""
    manifest = json.loads((path / checkpoint.MANIFEST).read_text())
    (path / name).unlink()  # the best may be a link to the same file
    (path / name).write_bytes(data)
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    sign(path, manifest)


def sign(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with its own hash."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (path / checkpoint.MANIFEST).unlink()
    (path / checkpoint.MANIFEST).write_text(json.dumps(content | {"sha256": digest}))


def edit_state(path: Path, change: Callable[[Any], Any]) -> None:
    """Replace the JSON of a checkpoint's state by what `change` makes of it."""
    changed = change(json.loads((path / checkpoint.STATE).read_text()))
    data = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    rewrite(path, checkpoint.STATE, data)
