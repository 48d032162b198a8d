"""CSV files of series: a row is a step, a column a channel."""

import csv
import itertools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gans.series.config import DataConfig
from lab.errors import UserError
from lab.nearest import did_you_mean

_FIRST = 2  # line of the first row, below the names


class Rows(NamedTuple):
    """What a file holds. `runs` are the stretches [start, stop) within which windows may lie."""

    values: np.ndarray  # float64 [R, C]
    columns: tuple[str, ...]
    runs: list[tuple[int, int]]
    labels: list[str]  # of each run, empty texts without a label column


def read_rows(config: DataConfig) -> Rows:
    """The rows of `config.source`. Raises UserError, with line and column, for what cannot be read as numbers."""
    path = Path(config.source).expanduser()
    names, lines = _read(path)
    columns = _channels(config, path, names)
    values = np.array([_column(path, lines, names.index(name), name) for name in columns], dtype=np.float64).T
    keys = [names.index(name) for name in (config.series, config.label) if name]
    runs = _runs([tuple(line[key].strip() for key in keys) for line in lines])
    if not config.label:
        return Rows(values, columns, runs, [""] * len(runs))
    labels = [lines[start][names.index(config.label)].strip() for start, _ in runs]
    if "" in labels:
        number = runs[labels.index("")][0] + _FIRST
        raise UserError(f"{path}, line {number}: column {config.label!r}, the label, is empty")
    return Rows(values, columns, runs, labels)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Names of the columns and the cells of every row, as many in each."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, strict=True))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; give sines, autoregressive or a .csv file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path} as CSV: {error}") from None
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    if not lines:
        raise UserError(f"{path} is empty; it needs a line of column names and a row for every step")
    names = [name.strip() for name in lines[0]]
    if all(_is_number(name) for name in names):
        raise UserError(f"{path}: its first line is numbers; put a line with the names of the columns above it")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two columns are named {twice!r}; rename one")
    for number, line in enumerate(lines[1:], start=_FIRST):
        if len(line) != len(names):
            raise UserError(f"{path}, line {number}: {len(line)} cells under {len(names)} column names")
    return names, lines[1:]


def _channels(config: DataConfig, path: Path, names: list[str]) -> tuple[str, ...]:
    for wanted in (*config.columns, config.series, config.label):
        if wanted and wanted not in names:
            raise UserError(f"{path} has no column {wanted!r}; {did_you_mean(wanted, names)}")
    columns = config.columns or tuple(name for name in names if name not in (config.series, config.label))
    if not columns:
        raise UserError(f"{path} has no column left to be a channel")
    return columns


def _column(path: Path, lines: list[list[str]], at: int, name: str) -> list[float]:
    values = []
    for number, line in enumerate(lines, start=_FIRST):
        cell = line[at].strip()
        where = f"{path}, line {number}, column {name!r}"
        if not cell:
            raise UserError(f"{where}: the cell is empty; fill it or leave the row out")
        try:
            value = float(cell)
        except ValueError:
            raise UserError(f"{where}: {cell!r} is not a number; data.columns chooses which are channels") from None
        if not math.isfinite(value):
            raise UserError(f"{where}: {cell} is not a finite number; fill it or leave the row out")
        values.append(value)
    return values


def _runs(keys: list[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Maximal stretches of equal keys."""
    borders = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    return [(start, stop) for start, stop in itertools.pairwise(borders) if stop > start]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
