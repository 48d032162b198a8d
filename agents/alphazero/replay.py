"""Replay buffer: a bounded window of positions, sampled by counter, stored as append-only segments."""

import hashlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from agents.alphazero.config import ReplayConfig
from agents.alphazero.records import Samples, blank
from agents.games.game import Game
from lab import rng
from lab.errors import CheckpointError
from lab.files import durable


class ReplayBuffer:
    """Positions numbered in order of arrival; the newest `window` of them can be sampled.

    Memory is a ring of `capacity` rows. `state_dict` writes the positions since the last call to one file
    `segment-<first>-<end>.safetensors` in `directory` and lists all files of the window with their hashes. The files of
    the last `saves_kept` states are kept.
    """

    def __init__(self, game: Game, config: ReplayConfig, directory: Path, saves_kept: int) -> None:
        self.config, self.directory = config, directory
        self.total = 0
        self._ring = blank(config.capacity, game)
        self._segments: list[dict[str, Any]] = []
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
        return self._rows(self.total - 1 - ages)

    def state_dict(self) -> dict[str, Any]:
        """Write the new positions to disk; returns the list of files. Raises CheckpointError when writing fails."""
        self._write_new()
        start = self.total - self.window
        self._window_starts.append(start)
        self._prune(min(self._window_starts))
        # Files that only earlier states need are listed apart, since they are deleted before this state is.
        return {
            "total": self.total,
            "segments": [dict(s) for s in self._segments if s["end"] > start],
            "retired": [dict(s) for s in self._segments if s["end"] <= start],
            "window_starts": list(self._window_starts),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Read the segments. Raises CheckpointError for one that is missing or damaged."""
        needed = state["segments"]
        self._segments = [dict(s) for s in (*state["retired"], *needed)]
        self._window_starts = deque(state["window_starts"], maxlen=self._window_starts.maxlen)
        self.total = needed[0]["first"] if needed else 0
        for segment in needed:
            self.extend(self._read(segment))
        if self.total != state["total"]:
            raise CheckpointError(f"replay in {str(self.directory)!r} ends at {self.total}, not {state['total']}")

    def _rows(self, index: Tensor) -> Samples:
        rows = index % self.config.capacity
        return Samples(*(field.index_select(0, rows) for field in self._ring))

    def _write_new(self) -> None:
        first = self._segments[-1]["end"] if self._segments else 0
        first = max(first, self.total - self.config.capacity)
        if first == self.total:
            return
        self._delete_abandoned(first)
        data = save_tensors(self._rows(torch.arange(first, self.total))._asdict())
        name = f"segment-{first:010d}-{self.total:010d}.safetensors"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            durable.write_durably(self.directory / name, data)
        except OSError as error:
            raise CheckpointError(durable.explain(error, self.directory / name)) from error
        digest = hashlib.sha256(data).hexdigest()
        self._segments.append({"name": name, "first": first, "end": self.total, "sha256": digest})

    def _prune(self, needed_from: int) -> None:
        while self._segments and self._segments[0]["end"] <= needed_from:
            (self.directory / self._segments.pop(0)["name"]).unlink(missing_ok=True)

    def _delete_abandoned(self, end: int) -> None:
        """Delete segments from `end` on: they belong to a later state from which the run did not continue."""
        for path in self.directory.glob("segment-*.safetensors"):
            if int(path.name.split("-")[1]) >= end:
                path.unlink(missing_ok=True)

    def _read(self, segment: Mapping[str, Any]) -> Samples:
        path = self.directory / segment["name"]
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != segment["sha256"]:
                raise CheckpointError(f"replay segment {str(path)!r} is damaged (its SHA-256 differs)")
            return Samples(**load_tensors(data))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"cannot read replay segment {str(path)!r}: {error}") from None


def window_size(config: ReplayConfig, total: int) -> int:
    """Positions in the window after `total` received: all at first, then sublinear growth (see `ReplayConfig`)."""
    start = config.window_start
    if total <= start:
        return total
    grown = ((total / start) ** config.window_exponent - 1) / config.window_exponent
    # 1e-6 against rounding: pruning needs a window whose start never moves back.
    return int(start * (1 + config.window_scale * grown) + 1e-6)
