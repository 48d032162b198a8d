"""Tables of numbers: a CSV file with a header, a data set of scikit-learn, or a function of one variable."""

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.errors import UserError

SUFFIX = ".csv"
_TARGETS = ("target", "label")
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Table:
    """inputs: float32 [N, F], one of `columns` each. targets: int64 [N] into `classes`, or float32 [N] without classes.

    fingerprint: SHA-256 over inputs, targets and names.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.inputs)


def is_table(source: str) -> bool:
    return source in SETS or source in FUNCTIONS or source.lower().endswith(SUFFIX)


def open_table(source: str, target: str, *, classified: bool) -> Table:
    """A table by path or name. Raises UserError with the line and column of a cell that is missing or not a number.

    classified: the targets are class names, numbered in their order (numbers by value).
    """
    if source in FUNCTIONS:
        return _function(source, classified)
    if source in SETS:
        return _embedded(source, classified)
    columns, rows = read_csv(Path(source).expanduser())
    target = target or next((name for name in _TARGETS if name in columns), "")
    if target not in columns:
        asked = f"no column {target!r}" if target else "no column target or label"
        raise UserError(f"{source} has {asked}: name one of its columns in data.target ({', '.join(columns)})")
    if len(columns) < 2:
        raise UserError(f"{source} has no column besides the target {target!r}")
    at = columns.index(target)
    inputs = np.stack([numbers(source, rows, columns, i) for i in range(len(columns)) if i != at], 1)
    others = tuple(name for name in columns if name != target)
    if not classified:
        return _table(source, inputs, numbers(source, rows, columns, at), others, target, ())
    labels = texts(source, rows, columns, at)
    classes = tuple(sorted(set(labels), key=_by_value))
    return _table(source, inputs, np.array([classes.index(k) for k in labels], np.int64), others, target, classes)


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows, which have the length of the header. Raises UserError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, strict=True))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV file ({error})") from None
    while lines and not any(cell.strip() for cell in lines[-1]):  # spreadsheets write empty last lines
        lines.pop()
    if len(lines) < 2:
        raise UserError(f"{path} has no rows: a table is a line of column names, then one line per row")
    columns = [name.strip() for name in lines[0]]
    numbered = len(columns) > 1 and columns == [str(index) for index in range(len(columns))]
    if all(_is_number(name) for name in columns) and not numbered:
        raise UserError(f"{path}: its first line is numbers; put a line with the names of the columns above it")
    if len(set(columns)) < len(columns) or "" in columns:
        raise UserError(f"{path}: column names of the header are repeated or empty; give each column a name")
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(columns):
            raise UserError(
                f"{path}, line {number} has {len(row)} cells and the header {len(columns)}: correct the line"
            )
    return columns, lines[1:]


def numbers(
    source: str,
    rows: Sequence[Sequence[str]],
    columns: Sequence[str],
    at: int,
    *,
    dtype: type[np.floating[Any]] = np.float32,
    otherwise: str = "leave the row out",
) -> np.ndarray:
    """A column [N] of finite numbers in the range of float32.

    Raises UserError that names the first other cell and the alternative to correcting it, `otherwise`.
    """
    values = np.empty(len(rows), dtype)
    for index, row in enumerate(rows):
        if flaw := _flaw(row[at]):
            where = f"{source}, line {index + 2}: column {columns[at]!r} {flaw}"
            raise UserError(f"{where}; write a number there or {otherwise}")
        values[index] = float(row[at])
    return values


def texts(source: str, rows: Sequence[Sequence[str]], columns: Sequence[str], at: int) -> list[str]:
    """The cells of a column, stripped. Raises UserError that names the first empty one."""
    cells = [row[at].strip() for row in rows]
    if "" in cells:
        line = cells.index("") + 2
        raise UserError(f"{source}, line {line}: column {columns[at]!r} is empty; fill it or leave the row out")
    return cells


def _flaw(cell: str) -> str:
    """The reason why a cell is not a finite number, "" for a number."""
    if not cell.strip():
        return "is empty"
    try:
        number = float(cell)
    except ValueError:
        return f"is {cell!r}, not a number"
    return "" if abs(number) <= _LARGEST else f"is {cell.strip()}, not a finite number up to {_LARGEST:.1e}"


def matching(table: Table, other: Table, source: str) -> Table:
    """`other` with the columns and classes of `table`. Raises UserError if columns differ or a label is unknown."""
    if set(other.columns) != set(table.columns):
        odd = sorted(set(other.columns) ^ set(table.columns))
        raise UserError(f"{source} does not match {table.name}: only one of them has the column {odd[0]!r}")
    inputs = other.inputs[:, [other.columns.index(name) for name in table.columns]]
    if not table.classes:
        return _table(source, inputs, other.targets, table.columns, table.target, ())
    unknown = sorted(set(other.classes) - set(table.classes))
    if unknown:
        raise UserError(
            f"{source} has the label {unknown[0]!r}, which {table.name} does not have: {', '.join(table.classes)}"
        )
    renumbered = np.array([table.classes.index(name) for name in other.classes], np.int64)
    return _table(source, inputs, renumbered[other.targets], table.columns, table.target, table.classes)


def _table(
    name: str, inputs: np.ndarray, targets: np.ndarray, columns: tuple[str, ...], target: str, classes: tuple[str, ...]
) -> Table:
    inputs = np.ascontiguousarray(inputs, np.float32)
    digest = hashlib.sha256(repr((inputs.shape, columns, classes)).encode() + inputs.tobytes() + targets.tobytes())
    return Table(name, inputs, targets, columns, target, classes, digest.hexdigest())


def _by_value(label: str) -> tuple[int, float, str]:
    return (1, 0.0, label) if _flaw(label) else (0, float(label), label)


def _embedded(source: str, classified: bool) -> Table:
    found = SETS[source]()
    names = tuple(str(name) for name in getattr(found, "target_names", ()))
    if classified and not names:
        raise UserError(f"{source} has a number as its target, not classes: set task.name=regression")
    columns = tuple(str(name) for name in found.feature_names)
    targets = found.target.astype(np.int64 if classified else np.float32)
    return _table(source, found.data, targets, columns, "target", names if classified else ())


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
}
"""Tables of scikit-learn, which need no download."""

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
    return _table(source, x[:, None], FUNCTIONS[source](x).astype(np.float32), ("x",), "y", ())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
