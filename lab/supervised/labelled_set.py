"""A set of images or table rows with their targets."""

from dataclasses import dataclass, replace

import numpy as np

from lab.config.suggestions import did_you_mean
from lab.data.columns import Column
from lab.data.labels import find_class
from lab.errors import UserError
from lab.supervised.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows of a table as its file has them.

    inputs: float64 [N, C], as in `lab.data.tables.Table`. numbers: targets float64 [N] in their own unit, if they are
    numbers. preprocessing: None until it is fitted.
    """

    inputs: np.ndarray
    schema: tuple[Column, ...]
    target: str
    numbers: np.ndarray | None
    preprocessing: Preprocessing | None = None

    def subset(self, rows: np.ndarray) -> "TableRows":
        numbers = None if self.numbers is None else self.numbers[rows]
        return replace(self, inputs=self.inputs[rows], numbers=numbers)


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Samples with targets.

    inputs: images uint8 [N, C, R, R], preprocessed `rows` of a table, float32 [N, F], or clips of sound, int16 [N, T].
    targets: int64 [N] into `classes`, or standardized numbers float32 [N] without classes. columns: names of the
    table's columns. fingerprint: hash of the whole set that these samples are part of. rule: how images were cropped
    and resized, "" if unknown.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    fingerprint: str
    rule: str = ""
    rows: "TableRows | None" = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: [C, R, R] or [F]."""
        return tuple(self.inputs.shape[1:])

    @property
    def has_images(self) -> bool:
        return self.inputs.ndim == 4

    @property
    def unit(self) -> str:
        """What a sample is, in the plural."""
        if self.has_images:
            return "images"
        return "clips" if self.inputs.dtype == np.int16 else "rows"

    def subset(self, rows: np.ndarray) -> "LabelledSet":
        """The samples at these row numbers."""
        table = None if self.rows is None else self.rows.subset(rows)
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], rows=table)

    @property
    def table(self) -> "TableRows":
        """The rows of a table, which this set must be."""
        assert self.rows is not None
        return self.rows


def class_index(name: str, classes: tuple[str, ...], key: str) -> int:
    """Index of a class. Raises UserError that names the nearest class and the setting `key`."""
    index = find_class(name, classes)
    if index is None:
        raise UserError(f"{key}: no class {name!r}; {did_you_mean(name, classes)}")
    return index
