"""Replay buffer: a bounded window of positions, sampled by counter, stored as append-only segments."""

import hashlib
import re
from collections import deque
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

from agents.alphazero.config import ReplayConfig
from agents.alphazero.overlays import Overlays
from agents.alphazero.records import LATER_FIELDS, WHOLE_POLICY, RecordFormat, Samples, blank
from agents.games.game import Game
from lab import rng
from lab.config.suggestions import shortened
from lab.errors import CheckpointError
from lab.files import durable
from lab.files.plain import inside, is_count, read_regular

_NAME = re.compile(r"segment-(\d{10,19})-(\d{10,19})\.safetensors")
_HEADER_BYTES = 1 << 16  # most that the header of a segment takes


@dataclass(frozen=True)
class _Segment:
    """A file of the positions from `first` up to `end`, as a state lists it."""

    name: str
    first: int
    end: int
    sha256: str

    @classmethod
    def from_state(cls, value: Any) -> Self:
        """Raises ValueError for anything but the record of a segment: its name decides what is read and deleted."""
        if not isinstance(value, Mapping) or value.keys() != {"name", "first", "end", "sha256"}:
            raise ValueError("an entry is not a segment")
        first, end, sha256 = value["first"], value["end"], value["sha256"]
        if not (is_count(first) and is_count(end) and first < end and isinstance(sha256, str)):
            raise ValueError("an entry has no positions or no hash")
        if value["name"] != segment_name(first, end):
            raise ValueError(f"{shortened(value['name'])} is not the name of the segment from {first} to {end}")
        return cls(value["name"], first, end, sha256)


class ReplayBuffer:
    """Positions numbered in order of arrival; the newest `window` of them can be sampled.

    Memory is a ring of `capacity` rows. `state_dict` writes the positions since the last call to one file
    `segment-<first>-<end>.safetensors` in `directory` and lists all files of the window with their hashes. Older
    positions that were replaced since then go into an overlay. The files of the last `saves_kept` states are kept.
    """

    def __init__(
        self,
        game: Game,
        config: ReplayConfig,
        directory: Path,
        saves_kept: int,
        form: RecordFormat = WHOLE_POLICY,
    ) -> None:
        self.config, self.directory = config, directory
        self.total = 0
        self._ring = blank(config.capacity, game, form)
        self._num_actions = game.num_actions
        self._row_bytes = sum(field[:1].nbytes for field in self._ring)
        self._segments: list[_Segment] = []
        self._overlays = Overlays(directory)
        # One more, because writing the checkpoint of a state may fail.
        self._window_starts: deque[int] = deque(maxlen=saves_kept + 1)

    @property
    def window(self) -> int:
        """Number of positions that can be sampled now."""
        return min(window_size(self.config, self.total), self.total, self.config.capacity)

    def extend(self, positions: Samples) -> None:
        """Add N positions; beyond `capacity` they replace the oldest."""
        self.total += len(positions)
        kept = min(len(positions), self.config.capacity)
        rows = torch.arange(self.total - kept, self.total) % self.config.capacity
        for ring, new in zip(self._ring, positions, strict=True):
            ring[rows] = new[len(new) - kept :]

    def sample(self, batch: int, seed: int, step: int) -> Samples:
        """`batch` positions sampled uniformly from the window, with replacement: a function of seed and step."""
        ages = rng.integers(self.window, seed, int(rng.Stream.REPLAY_ORDER), step, torch.arange(batch))
        return self.rows(self.total - 1 - ages)

    def rows(self, index: Tensor) -> Samples:
        """The positions of numbers int64 [N], which are in memory."""
        rows = index % self.config.capacity
        return Samples(*(field.index_select(0, rows) for field in self._ring))

    def replace(self, index: Tensor, **fields: Tensor) -> None:
        """Replace fields of `overlays.FIELDS`, [N, ...] each, of the positions of numbers int64 [N], all distinct."""
        self._put(index, fields)
        self._overlays.mark(index)

    def state_dict(self) -> dict[str, Any]:
        """Write what is new to disk; returns the list of files. Raises CheckpointError when writing fails."""
        start = self.total - self.window
        replaced = self._overlays.replaced(start, self._segments[-1].end if self._segments else 0)
        self._write_new()
        self._overlays.write(replaced, self.rows(replaced), self.total)
        self._window_starts.append(start)
        self._prune(min(self._window_starts))
        # Files that only earlier states need are listed apart, since they are deleted before this state is.
        return {
            "total": self.total,
            "segments": [asdict(s) for s in self._segments if s.end > start],
            "retired": [asdict(s) for s in self._segments if s.end <= start],
            "overlays": self._overlays.state_dict(),
            "window_starts": list(self._window_starts),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Read the segments. Raises CheckpointError for a damaged state, and where one is missing or damaged."""
        try:
            needed, retired = (_segments(state[name]) for name in ("segments", "retired"))
            starts, total = state["window_starts"], state["total"]
            if not is_count(total) or not all(is_count(start) and start <= total for start in starts):
                raise ValueError("a number of positions is damaged")
            if retired and needed and retired[-1].end > needed[0].first:
                raise ValueError("segments are out of order")
            self._overlays.load_state_dict(state.get("overlays", ()), total)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"its replay record is damaged: {error}") from None
        self._segments = [*retired, *needed]
        self._window_starts = deque(starts, maxlen=self._window_starts.maxlen)
        self.total = needed[0].first if needed else 0
        for segment in needed:
            if segment.first != self.total:
                break
            self.extend(self._read(segment))
        if self.total != total:
            raise CheckpointError(f"replay in {str(self.directory)!r} ends at {self.total}, not {total}")
        first = max(self.total - self.window, needed[0].first if needed else 0)
        row = Samples(*(field[:1] for field in self._ring))
        for index, fields in self._overlays.read(first, row, self._num_actions):
            self._put(index, fields)

    def _put(self, index: Tensor, fields: Mapping[str, Tensor]) -> None:
        rows = index % self.config.capacity
        for name, values in fields.items():
            ring: Tensor = getattr(self._ring, name)
            ring[rows] = values.to(ring.device, ring.dtype)

    def _write_new(self) -> None:
        first = self._segments[-1].end if self._segments else 0
        first = max(first, self.total - self.config.capacity)
        if first == self.total:
            return
        self._delete_abandoned(first)
        data = save_tensors(self.rows(torch.arange(first, self.total))._asdict())
        name = segment_name(first, self.total)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            durable.write_durably(self.directory / name, data)
        except OSError as error:
            raise CheckpointError(durable.explain(error, self.directory / name)) from error
        digest = hashlib.sha256(data).hexdigest()
        self._segments.append(_Segment(name, first, self.total, digest))

    def _prune(self, needed_from: int) -> None:
        while self._segments and self._segments[0].end <= needed_from:
            _delete(inside(self.directory, self._segments.pop(0).name, _NAME))
        self._overlays.prune(needed_from)

    def _delete_abandoned(self, end: int) -> None:
        """Delete segments from `end` on: they belong to a later state from which the run did not continue."""
        for path in self.directory.glob("segment-*.safetensors"):
            match = _NAME.fullmatch(path.name)
            if match and int(match[1]) >= end:
                _delete(path)

    def _read(self, segment: _Segment) -> Samples:
        path = inside(self.directory, segment.name, _NAME)
        count = segment.end - segment.first
        if count > self.config.capacity:
            raise CheckpointError(f"replay segment {str(path)!r} would hold more positions than the buffer")
        try:
            data = read_regular(path, count * self._row_bytes + _HEADER_BYTES)
            if hashlib.sha256(data).hexdigest() != segment.sha256:
                raise CheckpointError(f"replay segment {str(path)!r} is damaged (its SHA-256 differs)")
            tensors = load_tensors(data)
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(f"cannot read replay segment {str(path)!r}: {error}") from None
        for name in LATER_FIELDS:
            if not getattr(self._ring, name)[:1].numel():
                tensors.setdefault(name, getattr(self._ring, name).new_zeros((count, 0)))
        if tensors.keys() != set(Samples._fields):
            raise CheckpointError(
                f"replay segment {str(path)!r} was written by another version of the program; start a new run, "
                "with start.run for the weights of this one"
            )
        expected = {name: (ring.dtype, (count, *ring.shape[1:])) for name, ring in self._ring._asdict().items()}
        if {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()} != expected:
            raise CheckpointError(f"replay segment {str(path)!r} does not hold {count} positions of this game")
        if not ((tensors["actions"] >= -1) & (tensors["actions"] < self._num_actions)).all():
            raise CheckpointError(f"replay segment {str(path)!r} holds actions that this game does not have")
        return Samples(**tensors)


def segment_name(first: int, end: int) -> str:
    """Name of the file of positions `first` up to `end`."""
    return f"segment-{first:010d}-{end:010d}.safetensors"


def _segments(entries: Any) -> list[_Segment]:
    """The segments that a state lists, in order. Raises ValueError for a damaged list."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError("the segments are not a list")
    found = [_Segment.from_state(entry) for entry in entries]
    if any(later.first < earlier.end for earlier, later in pairwise(found)):
        raise ValueError("segments are out of order")
    return found


def _delete(path: Path) -> None:
    with suppress(OSError):  # a folder under the name of a segment stays
        path.unlink(missing_ok=True)


def window_size(config: ReplayConfig, total: int) -> int:
    """Positions in the window after `total` received: all at first, then sublinear growth (see `ReplayConfig`)."""
    start = config.window_start
    if total <= start:
        return total
    grown = ((total / start) ** config.window_exponent - 1) / config.window_exponent
    # 1e-6 against rounding: pruning needs a window whose start never moves back.
    return int(start * (1 + config.window_scale * grown) + 1e-6)
