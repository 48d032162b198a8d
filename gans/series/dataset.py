"""Standardised windows of real series, some held out for evaluation."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from gans.series import synthetic
from gans.series.config import DataConfig, is_file
from gans.series.csv_reader import read_rows
from lab.errors import UserError

_BLOCK = 4  # length of a block of a long series in windows; windows across the border of a block are lost
Run = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation of each channel, float64 [C]."""

    columns: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray

    def restore(self, standardised: Tensor) -> np.ndarray:
        """[..., C] -> float64 [..., C] on the CPU."""
        return standardised.detach().cpu().double().numpy() * self.deviation + self.mean

    def state_dict(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "mean": self.mean, "deviation": self.deviation}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        return cls(tuple(state["columns"]), np.asarray(state["mean"]), np.asarray(state["deviation"]))


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Rows float32 [R, C], standardised, and the first row of every window, int64 [N] and [M].

    labels, held_out_labels: int64 [N] and [M], classes of the windows; None without classes.
    """

    source: str
    rows: Tensor
    length: int
    training: Tensor
    held_out: Tensor
    labels: Tensor | None
    held_out_labels: Tensor | None
    classes: tuple[str, ...]
    scale: Scale

    @property
    def channels(self) -> int:
        return self.rows.shape[1]

    def windows(self, starts: Tensor) -> Tensor:
        """float32 [B, length, C] of first rows [B]."""
        return self.rows[starts[:, None] + torch.arange(self.length, device=self.rows.device)]

    def to(self, device: torch.device) -> "SeriesSet":
        def moved(labels: Tensor | None) -> Tensor | None:
            return None if labels is None else labels.to(device)

        return replace(
            self,
            rows=self.rows.to(device),
            training=self.training.to(device),
            held_out=self.held_out.to(device),
            labels=moved(self.labels),
            held_out_labels=moved(self.held_out_labels),
        )

    def fingerprint(self) -> str:
        """Hash of all data that training reads."""
        digest = hashlib.sha256(repr((self.length, self.scale.columns, self.classes)).encode())
        # The rows are standardised: those of a file in other units are the same without these.
        digest.update(self.scale.mean.tobytes() + self.scale.deviation.tobytes())
        for tensor in (self.rows, self.training, self.held_out, self.labels):
            if tensor is not None:
                digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        return digest.hexdigest()


def check_same(config: DataConfig, fingerprint: str, trained_on: str, otherwise: str) -> None:
    """Raise UserError for a file that differs from the one a run was trained on; `otherwise` ends the message.

    Synthetic series follow from the configuration and may be rounded differently on another machine.
    """
    if is_file(config) and fingerprint != trained_on:
        raise UserError(f"{config.source} is not the data this run was trained on: {otherwise}")


def open_series(config: DataConfig, seed: int) -> SeriesSet:
    """The configured series. Raises UserError for an unusable file."""
    return _from_file(config, seed) if is_file(config) else _synthetic(config, seed)


def _synthetic(config: DataConfig, seed: int) -> SeriesSet:
    made, length = config.synthetic, config.length
    training_count = made.series - max(1, round(made.series * config.held_out))
    if training_count < 1:
        raise UserError(f"data.synthetic.series {made.series} leaves no series to train on; raise it")
    labels = synthetic.classes_of(made, seed)
    generate = synthetic.sines if config.source == "sines" else synthetic.autoregressive
    values = generate(made, length, seed, labels)
    columns = tuple(f"channel_{index}" for index in range(made.channels))
    classes = tuple(str(index) for index in range(made.classes))
    scale = _scale(columns, values[:training_count].flatten(0, 1).double().numpy(), config.source)
    starts = torch.arange(made.series) * length
    training_labels = None if labels is None else labels[:training_count]
    if training_labels is not None:
        _check_classes(training_labels, classes, config.source)
    rows = _standardised(values.flatten(0, 1).double().numpy(), scale)
    return SeriesSet(
        config.source,
        rows,
        length,
        starts[:training_count],
        starts[training_count:],
        training_labels,
        None if labels is None else labels[training_count:],
        classes,
        scale,
    )


def _from_file(config: DataConfig, seed: int) -> SeriesSet:
    rows, length = read_rows(config), config.length
    training, held_out = split(rows.runs, rows.series, length, config.held_out, seed)
    starts = np.array([start for run in training for start in windows_in(run, length, config.stride)])
    held = np.array([start for run in held_out for start in windows_in(run, length, config.stride)])
    if not len(starts) or not len(held):
        longest = max((stop - start for start, stop in rows.runs), default=0)
        raise UserError(
            f"{config.source}: too few rows ({len(rows.values)}, {longest} in the longest series) for windows of "
            f"{length} steps to train on and others to hold out; lower data.length or provide {2 * length} rows or more"
        )
    seen = np.concatenate([rows.values[start:stop] for start, stop in training])
    scale = _scale(rows.columns, seen, config.source)
    classes = tuple(sorted(set(rows.labels))) if config.label else ()
    labels = held_out_labels = None
    if classes:
        of_row = np.repeat([classes.index(label) for label in rows.labels], [stop - start for start, stop in rows.runs])
        labels = torch.from_numpy(of_row[starts].astype(np.int64))
        held_out_labels = torch.from_numpy(of_row[held].astype(np.int64))
        _check_classes(labels, classes, config.source)
    values = _standardised(rows.values, scale)
    return SeriesSet(
        config.source,
        values,
        length,
        torch.from_numpy(starts),
        torch.from_numpy(held),
        labels,
        held_out_labels,
        classes,
        scale,
    )


def split(
    runs: Sequence[Run], series: Sequence[int], length: int, fraction: float, seed: int
) -> tuple[list[Run], list[Run]]:
    """Training sections and held-out sections, together all runs that are long enough for a window.

    With several `series`, whole series are held out. A single series is cut into blocks of a few windows, so that the
    held-out part covers the whole time of the file.
    """
    long_enough = [(run, owner) for run, owner in zip(runs, series, strict=True) if run[1] - run[0] >= length]
    units = [(run, run, owner) for run, owner in long_enough]
    if len({owner for _, owner in long_enough}) < 2:
        blocks = [(block, run) for run, _ in long_enough for block in _blocks(run, length, fraction)]
        units = [(block, run, number) for number, (block, run) in enumerate(blocks)]
    owners = list(dict.fromkeys(owner for _, _, owner in units))
    if len(owners) < 2:
        return [], []
    chosen = np.random.default_rng(seed).permutation(len(owners))[: max(1, round(fraction * len(owners)))]
    held = {owners[index] for index in chosen}
    merged: tuple[list[Run], list[Run]] = ([], [])
    previous = None
    for block, run, owner in units:
        is_held = owner in held
        part = merged[int(is_held)]
        if previous == (run, is_held):
            part[-1] = (part[-1][0], block[1])
        else:
            part.append(block)
        previous = (run, is_held)
    return merged


def windows_in(run: Run, length: int, stride: int) -> range:
    """First rows of the windows in a section."""
    return range(run[0], run[1] - length + 1, stride)


def _blocks(run: Run, length: int, fraction: float) -> Iterator[Run]:
    rows = run[1] - run[0]
    size = min(max(int(rows * fraction), length), _BLOCK * length)
    count = rows // size
    for index in range(count):
        start = run[0] + index * size
        yield start, run[1] if index == count - 1 else start + size


def _scale(columns: tuple[str, ...], values: np.ndarray, source: str) -> Scale:
    mean, deviation = values.mean(0), values.std(0)
    for name, centre, spread in zip(columns, mean, deviation, strict=True):
        if spread <= 1e-13 * abs(centre):
            raise UserError(f"{source}: column {name!r} is constant; leave it out with data.columns")
    return Scale(columns, mean, deviation)


def _standardised(values: np.ndarray, scale: Scale) -> Tensor:
    return torch.from_numpy(((values - scale.mean) / scale.deviation).astype(np.float32))


def _check_classes(labels: Tensor, classes: tuple[str, ...], source: str) -> None:
    counts = torch.bincount(labels, minlength=len(classes))
    if (counts == 0).any():
        name = classes[int((counts == 0).nonzero()[0])]
        raise UserError(
            f"{source}: class {name!r} has no whole window to train on; leave it out, provide more of it, or change "
            "the seed"
        )
