"""CSV files of series: a row is a step, a column a channel."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gans.series.config import DataConfig
from lab.config.suggestions import did_you_mean
from lab.data.csv_file import check_named, numbers, read_csv, texts
from lab.errors import UserError


class Rows(NamedTuple):
    """Rows of a file, grouped by series and in file order within a series.

    runs: sections [start, stop) of rows; a window lies within one of them. series, labels: series number (in
    order of appearance) and class of each run; 0 and an empty text without such a column.
    """

    values: np.ndarray  # float64 [R, C]
    columns: tuple[str, ...]
    runs: list[tuple[int, int]]
    series: list[int]
    labels: list[str]


def read_rows(config: DataConfig) -> Rows:
    """The rows of `config.source`. Raises UserError, with line and column, for cells that are not numbers."""
    path = Path(os.path.expanduser(config.source))
    file = read_csv(path)
    columns = _channels(config, path, file.columns)
    check_named(file, columns, fix=", or choose the columns that are channels with data.columns")

    def cells(name: str) -> list[str]:
        return texts(file, name) if name else [""] * len(file.rows)

    def channel(name: str) -> np.ndarray:
        return numbers(file, name, otherwise="choose the columns that are channels with data.columns")

    number_of: dict[str, int] = {}
    series = [number_of.setdefault(name, len(number_of)) for name in cells(config.series)]
    order = np.argsort(series, kind="stable")
    values = np.array([channel(name)[order] for name in columns]).T
    labels = cells(config.label)
    runs = _runs([(series[row], labels[row]) for row in order])
    first = [int(order[start]) for start, _ in runs]
    return Rows(values, columns, runs, [series[row] for row in first], [labels[row] for row in first])


def _channels(config: DataConfig, path: Path, names: list[str]) -> tuple[str, ...]:
    for wanted in (*config.columns, config.series, config.label):
        if wanted and wanted not in names:
            raise UserError(f"{path} has no column {wanted!r}; {did_you_mean(wanted, names)}")
    columns = config.columns or tuple(name for name in names if name not in (config.series, config.label))
    if not columns:
        raise UserError(f"{path} has no column that can be a channel")
    return columns


def _runs(keys: Sequence[tuple[int, str]]) -> list[tuple[int, int]]:
    """Maximal stretches of equal keys."""
    borders = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    return list(itertools.pairwise(borders))
