"""Replaced rows of the replay buffer, as append-only files with hashes beside the segments.

A segment is never written again. What changes in its positions later is written by the next state into a file
`overlay-<positions received>.safetensors`: the numbers of the positions and their new fields. A state lists the files
that it needs; loading reads the segments and then the overlays in order, so that the last change of a position counts.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from agents.alphazero.records import Samples
from lab.errors import CheckpointError
from lab.files import durable
from lab.files.plain import inside, is_count, read_regular

FIELDS = ("policy", "actions", "search_value", "version", "cheap")
"""Fields of `Samples` that a new search replaces."""

_NAME = re.compile(r"overlay-(\d{10,19})\.safetensors")
_HEADER_BYTES = 1 << 16
_INDEX = "index"


@dataclass(frozen=True)
class _Overlay:
    """A file of `count` positions, all before number `end`, written when `total` positions were received."""

    total: int
    count: int
    end: int
    sha256: str

    @property
    def name(self) -> str:
        return f"overlay-{self.total:010d}.safetensors"

    @classmethod
    def from_state(cls, value: Any) -> Self:
        """Raises ValueError for anything but the record of an overlay."""
        if not isinstance(value, Mapping) or value.keys() != {"total", "count", "end", "sha256"}:
            raise ValueError("an entry is not an overlay")
        total, count, end, sha256 = value["total"], value["count"], value["end"], value["sha256"]
        if not (is_count(total) and is_count(count) and is_count(end) and isinstance(sha256, str)):
            raise ValueError("an overlay has no positions or no hash")
        if not 0 < count <= end <= total:
            raise ValueError("an overlay has positions that were never received")
        return cls(total, count, end, sha256)


class Overlays:
    """The overlays of a replay buffer in `directory`, and the positions that were replaced since the last one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._entries: list[_Overlay] = []
        self._replaced: list[Tensor] = []

    def mark(self, index: Tensor) -> None:
        """The positions `index` int64 [N] were replaced in memory."""
        self._replaced.append(index)

    def replaced(self, first: int, end: int) -> Tensor:
        """int64 [N], ascending: the positions from `first` up to `end` that were replaced since the last overlay."""
        index = torch.cat(self._replaced).unique() if self._replaced else torch.zeros(0, dtype=torch.int64)
        return index[(index >= first) & (index < end)]

    def write(self, index: Tensor, positions: Samples, total: int) -> None:
        """Write the `positions` of `index` int64 [N], as `replaced` returns them. Raises CheckpointError."""
        if len(index):
            self._delete_abandoned()
            content = {name: field for name, field in positions._asdict().items() if name in FIELDS}
            data = save_tensors({_INDEX: index, **content})
            entry = _Overlay(total, len(index), int(index[-1]) + 1, hashlib.sha256(data).hexdigest())
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                durable.write_durably(self.directory / entry.name, data)
            except OSError as error:
                raise CheckpointError(durable.explain(error, self.directory / entry.name)) from error
            self._entries.append(entry)
        self._replaced = []

    def prune(self, needed_from: int) -> None:
        """Delete the overlays without a position from `needed_from` on."""
        for entry in [entry for entry in self._entries if entry.end <= needed_from]:
            self._entries.remove(entry)
            _delete(inside(self.directory, entry.name, _NAME))

    def state_dict(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self._entries]

    def load_state_dict(self, state: Any, total: int) -> None:
        """Raises ValueError unless `state` is a list of `state_dict` of at most `total` positions."""
        if not isinstance(state, Sequence) or isinstance(state, str):
            raise ValueError("the overlays are not a list")
        entries = [_Overlay.from_state(entry) for entry in state]
        if any(later.total <= earlier.total for earlier, later in pairwise(entries)) or (
            entries and entries[-1].total > total
        ):
            raise ValueError("overlays are out of order")
        self._entries, self._replaced = entries, []

    def read(self, first: int, row: Samples, num_actions: int) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """The positions, from `first` on, and fields of every overlay that has such positions, in order.

        row: one position, for types and shapes. Raises CheckpointError where a file is missing or damaged.
        """
        return [self._read(entry, first, row, num_actions) for entry in self._entries if entry.end > first]

    def _read(self, entry: _Overlay, first: int, row: Samples, num_actions: int) -> tuple[Tensor, dict[str, Tensor]]:
        path = inside(self.directory, entry.name, _NAME)
        fields = {name: field for name, field in row._asdict().items() if name in FIELDS}
        size = 8 + sum(field.nbytes for field in fields.values())
        try:
            data = read_regular(path, entry.count * size + _HEADER_BYTES)
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise CheckpointError(f"replay overlay {str(path)!r} is damaged (its SHA-256 differs)")
            tensors = load_tensors(data)
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(f"cannot read replay overlay {str(path)!r}: {error}") from None
        expected = {name: (field.dtype, (entry.count, *field.shape[1:])) for name, field in fields.items()}
        expected[_INDEX] = (torch.int64, (entry.count,))
        if {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()} != expected:
            raise CheckpointError(f"replay overlay {str(path)!r} does not hold {entry.count} positions of this game")
        index, actions = tensors.pop(_INDEX), tensors["actions"]
        ascending = bool((index[1:] > index[:-1]).all()) and int(index[0]) >= 0 and int(index[-1]) < entry.end
        if not ascending or not ((actions >= -1) & (actions < num_actions)).all():
            raise CheckpointError(f"replay overlay {str(path)!r} holds positions that this run does not have")
        kept = index >= first
        return index[kept], {name: tensor[kept] for name, tensor in tensors.items()}

    def _delete_abandoned(self) -> None:
        """Delete the overlays of later states from which the run did not continue."""
        last = self._entries[-1].total if self._entries else -1
        for path in self.directory.glob("overlay-*.safetensors"):
            match = _NAME.fullmatch(path.name)
            if match and int(match[1]) > last:
                _delete(path)


def _delete(path: Path) -> None:
    with suppress(OSError):  # a folder under the name of an overlay stays
        path.unlink(missing_ok=True)
