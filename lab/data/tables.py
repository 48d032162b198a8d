"""Tables: a CSV file with a header, a data set of scikit-learn, made transactions, or a function of one variable."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.config.suggestions import did_you_mean
from lab.data.columns import Column, Reading, column_of, is_blank, read_column
from lab.data.csv_file import CsvFile, check_named, numbers, read_csv, refuse_address, texts
from lab.data.transactions import load_transactions
from lab.errors import UserError

SUFFIX = ".csv"
_TARGETS = ("target", "label")
_MANY = 10  # distinct fractions that are read as classes; more are a quantity
_MOST = 100  # distinct whole numbers that are read as classes


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a table.

    inputs: float64 [N, C], one of `schema` each: a number, a truth value as 0 or 1, days since 1970, or an index into
    the texts of a category; NaN where a cell is blank. targets: int64 [N] into `classes`, or float64 [N] without
    classes. fingerprint: SHA-256 over inputs, targets and names.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    schema: tuple[Column, ...]
    target: str
    classes: tuple[str, ...]
    fingerprint: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the input columns."""
        return tuple(column.name for column in self.schema)

    def __len__(self) -> int:
        return len(self.inputs)


def is_table(source: str) -> bool:
    return source in SETS or source in FUNCTIONS or source.lower().endswith(SUFFIX)


def open_table(
    source: str, target: str, *, classified: bool, reading: Reading | None = None, like: Table | None = None
) -> Table:
    """A table by path or name. Raises UserError with the line and column of a cell that does not fit.

    classified: the targets are class names, numbered in their order (numbers by value). reading: by default blank cells
    are refused. like: a table whose columns and classes this one has.
    """
    reading = Reading() if reading is None else reading
    if source in FUNCTIONS or source in SETS:
        table = _function(source, classified) if source in FUNCTIONS else _embedded(source, classified)
        if like is not None and (table.schema, table.classes) != (like.schema, like.classes):
            raise UserError(f"{source} does not match {like.name} in columns or classes")
        return table
    path = Path(os.path.expanduser(source))
    if not os.path.lexists(path):
        refuse_address(source)
        raise UserError(f"there is no file {source}: data.source names a table, as in data.source=FILE.csv")
    file = read_csv(path)
    target = _target(source, file, target)
    for setting, names in (("data.ignore", reading.ignore), ("data.categories", reading.categories)):
        for name in names:
            if name not in file.columns:
                raise UserError(f"{setting}: {source} has no column {name!r}; {did_you_mean(name, file.columns)}")
    if target in reading.ignore:
        raise UserError(f"data.ignore names {target!r}, the target of {source}")
    used = [name for name in file.columns if name != target and name not in reading.ignore]
    if not used:
        raise UserError(f"{source} has no column besides the target {target!r}")
    check_named(file, used, fix=", or leave it out by data.ignore=['{}']")
    if like is not None and set(used) != set(like.columns):
        odd = sorted(set(used) ^ set(like.columns))
        raise UserError(f"{source} does not match {like.name}: only one of them has the column {odd[0]!r}")
    schema = like.schema if like is not None else tuple(column_of(file, name, reading) for name in used)
    if reading.date_format and not any(column.kind == "date" for column in schema):
        raise UserError(f"data.date_format={reading.date_format}: no column of {source} has such dates")
    inputs, schema = read_rows(file, schema, reading)
    if not classified:
        try:
            targets = numbers(file, target)
        except UserError as error:
            raise UserError(f"{error} (for classes set task.name=classification)") from None
        return _table(source, inputs, targets, schema, target, ())
    labels = texts(file, target)
    if target not in reading.categories:
        _check_filled(file, target, labels, () if like is None else like.classes)
    value_of = {label: _finite(file.number(label)) for label in set(labels)}
    found = sorted(value_of, key=lambda label: (value_of[label] is None, value_of[label] or 0.0, label))
    if target not in reading.categories and like is None:
        _check_classes(source, target, len(labels), list(value_of.values()))
    classes = tuple(found) if like is None else like.classes
    unknown = [name for name in found if name not in classes]
    if unknown and like is not None:
        raise UserError(
            f"{source} has the label {unknown[0]!r}, which {like.name} does not have: {', '.join(like.classes)}"
        )
    number_of = {name: index for index, name in enumerate(classes)}
    return _table(source, inputs, np.array([number_of[k] for k in labels], np.int64), schema, target, classes)


def read_rows(file: CsvFile, schema: Sequence[Column], reading: Reading) -> tuple[np.ndarray, tuple[Column, ...]]:
    """The columns of a schema as float64 [N, C], and the schema with the texts that it did not have.

    Raises UserError for a missing column and for a cell that does not fit.
    """
    missing = [column.name for column in schema if column.name not in file.columns]
    if missing:
        needed = ", ".join(column.name for column in schema)
        raise UserError(f"{file.source} has no column {missing[0]!r}; this run needs {needed}")
    found = [read_column(file, column, reading.blanks) for column in schema]
    inputs = np.stack([values for values, _ in found], 1)
    return inputs, tuple(
        Column(column.name, column.kind, known, column.format) for column, (_, known) in zip(schema, found, strict=True)
    )


def _target(source: str, file: CsvFile, target: str) -> str:
    target = target or next((name for name in _TARGETS if name in file.columns), "")
    if target not in file.columns:
        asked = f"no column {target!r}" if target else "no column target or label"
        names = ", ".join(file.columns[:20]) + (", ..." if len(file.columns) > 20 else "")
        raise UserError(f"{source} has {asked}: name one of its columns in data.target ({names})")
    return target


def _check_filled(file: CsvFile, target: str, labels: Sequence[str], classes: Sequence[str]) -> None:
    """Raise UserError for a target of NA, None or another word for a blank cell, unless it is one of `classes`."""
    for row, label in enumerate(labels):
        if is_blank(label) and label not in classes:
            raise UserError(
                f"{file.where(row, target)} is {label}, a blank cell; leave the row out, or set "
                f"data.categories=[{target}] if it is the name of a class"
            )


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else number


def _check_classes(source: str, target: str, rows: int, values: Sequence[float | None]) -> None:
    """Raise UserError for a target that is a quantity: its distinct values would become classes without order."""
    distinct = [value for value in values if value is not None]
    if len(distinct) < len(values):
        return
    most = _MOST if all(value.is_integer() for value in distinct) else _MANY
    if len(distinct) > most or (len(distinct) > 2 and 2 * len(distinct) > rows):
        raise UserError(
            f"{source}: the target {target!r} is a number with {len(distinct):,} values in {rows:,} rows: set "
            f"task.name=regression to predict it (evaluate.best is then eval/r2, where it is set), or "
            f"data.categories=[{target}] if they are classes"
        )


def _table(
    name: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    schema: tuple[Column, ...],
    target: str,
    classes: tuple[str, ...],
) -> Table:
    inputs = np.ascontiguousarray(inputs, np.float64)
    digest = hashlib.sha256(repr((inputs.shape, schema, classes)).encode() + inputs.tobytes() + targets.tobytes())
    return Table(name, inputs, targets, schema, target, classes, digest.hexdigest())


def _embedded(source: str, classified: bool) -> Table:
    found = SETS[source]()
    names = tuple(str(name) for name in getattr(found, "target_names", ()))
    if classified and not names:
        raise UserError(f"{source} has a number as its target, not classes: set task.name=regression")
    made: tuple[Column, ...] | None = getattr(found, "schema", None)
    schema = made or tuple(Column(str(name), "number") for name in found.feature_names)
    targets = found.target.astype(np.int64 if classified else np.float64)
    return _table(source, found.data, targets, schema, "target", names if classified else ())


def _loader(name: str) -> Callable[[], Any]:
    def load() -> Any:
        from sklearn import datasets

        return getattr(datasets, name)()

    return load


SETS: dict[str, Callable[[], Any]] = {
    "iris": _loader("load_iris"),
    "wine": _loader("load_wine"),
    "breast_cancer": _loader("load_breast_cancer"),
    "diabetes": _loader("load_diabetes"),
    "transactions": load_transactions,
}
"""Tables of scikit-learn and made ones, which need no download."""

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "wave": lambda x: np.sin(2.0 * np.pi * x) + 0.5 * np.cos(5.0 * np.pi * x),
    "steps": lambda x: np.floor(4.0 * x) / 4.0,
}
"""Functions on [-1, 1] for approximation."""
_POINTS = 2048


def _function(source: str, classified: bool) -> Table:
    if classified:
        raise UserError(f"{source} is a function, not classes: set task.name=regression")
    x = np.linspace(-1.0, 1.0, _POINTS)
    return _table(source, x[:, None], FUNCTIONS[source](x), (Column("x", "number"),), "y", ())
