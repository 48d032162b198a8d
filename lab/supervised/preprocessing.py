"""The preprocessing of a table's columns: fitted on the training rows and kept with the run as plain values.

Numbers, dates and truth values are standardized in double precision: single precision does not hold a small difference
between large values. A blank cell becomes the mean, and an input of its own says so. Categories become one-hot inputs,
all 0 for a text that the training rows do not have; the first layer's weights of these inputs are their embeddings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.config.suggestions import shortened
from lab.data.columns import Column, check_date_format
from lab.errors import CheckpointError, UserError

_BLOCK = 2**14  # rows
LARGEST = 1e6  # standard deviations: an outlier at prediction must not overflow the network


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of values; the scale of a constant is kept."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Statistics":
        """Of values [N] in double precision, exact for small differences of large values."""
        first = float(values[0])
        shifted = values - first
        # By a power of two, which is exact: the squares of 1e-200 or 1e200 are no floats.
        exponent = int(np.frexp(np.abs(shifted).max())[1])
        deviation = float(np.ldexp(np.ldexp(shifted, -exponent).std(), exponent))
        return cls(first + float(shifted.mean()), deviation if deviation > 0.0 else 1.0)


@dataclass(frozen=True)
class FittedColumn:
    """A column with the texts of the training rows. blanks: some of the training rows are blank there."""

    column: Column
    statistics: Statistics
    blanks: bool

    @property
    def raw_names(self) -> list[str]:
        """Names of its raw inputs: the number, or one for each category, the blank one last."""
        if self.column.kind != "category":
            return [self.column.name]
        return [f"{self.column.name}={text}" for text in (*self.column.texts, *([""] if self.blanks else []))]


@dataclass(frozen=True)
class Preprocessing:
    """Fitted columns, the target's name, and its statistics if it is a number.

    Raw inputs float64 [N, R] are numbers, NaN where blank, and one-hot categories. Inputs of the network float32 [N, F]
    are these, standardized and imputed, then one indicator for each number that has blanks in the training rows.
    """

    columns: tuple[FittedColumn, ...]
    target: str
    target_statistics: Statistics | None

    @property
    def schema(self) -> tuple[Column, ...]:
        return tuple(fitted.column for fitted in self.columns)

    @property
    def raw_names(self) -> list[str]:
        return [name for fitted in self.columns for name in fitted.raw_names]

    @property
    def indicators(self) -> list[int]:
        """Raw inputs that have an indicator."""
        numeric = (f.column.kind != "category" and f.blanks for f in self.columns for _ in f.raw_names)
        return [index for index, has in enumerate(numeric) if has]

    @property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations float64 [R] of the raw inputs; 0 and 1 for categories."""
        each = [
            (0.0, 1.0) if f.column.kind == "category" else (f.statistics.mean, f.statistics.deviation)
            for f in self.columns
            for _ in f.raw_names
        ]
        means, deviations = np.array(each).T
        return means, deviations

    @property
    def width(self) -> int:
        """F, the number of inputs of the network."""
        return len(self.raw_names) + len(self.indicators)

    def raw(self, inputs: np.ndarray, schema: Sequence[Column]) -> np.ndarray:
        """Raw inputs [N, R] for cells [N, C] of a schema, whose categories may have further texts."""
        parts = []
        for values, fitted, column in zip(inputs.T, self.columns, schema, strict=True):
            if column.kind != "category":
                parts.append(values[:, None])
                continue
            known = {text: index for index, text in enumerate(fitted.column.texts)}
            blank = len(known) if fitted.blanks else -1
            numbers = np.array([known.get(text, -1) for text in column.texts] + [blank])
            codes = numbers[np.where(np.isnan(values), len(column.texts), values).astype(np.int64)]
            parts.append((codes[:, None] == np.arange(len(fitted.raw_names))).astype(np.float64))
        return np.concatenate(parts, 1)

    def encode(self, inputs: np.ndarray, schema: Sequence[Column]) -> np.ndarray:
        """Inputs of the network float32 [N, F]."""
        means, deviations = self.scales
        indicators = self.indicators
        encoded = np.empty((len(inputs), len(means) + len(indicators)), np.float32)
        for start in range(0, len(inputs), _BLOCK):  # double precision takes several times the memory of the result
            part = slice(start, start + _BLOCK)
            raw = self.raw(inputs[part], schema)
            blank = np.isnan(raw)
            values = (np.where(blank, means, raw) - means) / deviations
            encoded[part, : len(means)] = np.clip(values, -LARGEST, LARGEST)
            encoded[part, len(means) :] = blank[:, indicators]
        return encoded

    def standardized(self, targets: np.ndarray) -> np.ndarray:
        """Targets float32 [N] of the network for numbers in their own unit."""
        assert self.target_statistics is not None
        statistics = self.target_statistics
        return ((targets - statistics.mean) / statistics.deviation).astype(np.float32)

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs float64 [N] in the unit of the target."""
        assert self.target_statistics is not None
        statistics = self.target_statistics
        return outputs.astype(np.float64) * statistics.deviation + statistics.mean

    def notes(self, inputs: np.ndarray, schema: Sequence[Column]) -> list[str]:
        """What the preprocessing does to rows [N, C] that a user should know: blanks and unknown texts, a line each."""
        found = []
        for values, fitted, column in zip(inputs.T, self.columns, schema, strict=True):
            if blank := int(np.isnan(values).sum()):
                if column.kind == "category":
                    how = "a category of their own" if fitted.blanks else "unknown"
                else:
                    how = "imputed, with an indicator" if fitted.blanks else "imputed"
                how += "" if fitted.blanks else ", as no training row is blank there"
                found.append(f"column {column.name!r}: {blank:,} of {len(values):,} cells are blank ({how})")
            known = set(fitted.column.texts)
            unknown = [index for index, text in enumerate(column.texts) if text not in known]
            count = int(np.isin(values, unknown).sum())
            if count:
                first = column.texts[next(index for index in unknown if (values == index).any())]
                found.append(
                    f"column {column.name!r}: {count:,} of {len(values):,} cells have a text that no training row has, "
                    f"such as {shortened(first)} (unknown)"
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values, of which `from_json` makes the same preprocessing."""
        statistics = self.target_statistics
        return {
            "columns": [
                {
                    "name": fitted.column.name,
                    "kind": fitted.column.kind,
                    "texts": list(fitted.column.texts),
                    "format": fitted.column.format,
                    "mean": fitted.statistics.mean,
                    "deviation": fitted.statistics.deviation,
                    "blanks": fitted.blanks,
                }
                for fitted in self.columns
            ],
            "target": self.target,
            "target_statistics": None if statistics is None else [statistics.mean, statistics.deviation],
        }


def from_json(value: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing of `Preprocessing.to_json`. Raises CheckpointError for anything else."""
    try:
        columns = tuple(_column(item) for item in value["columns"])
        if not columns:
            raise ValueError("no columns")
        found = value["target_statistics"]
        return Preprocessing(columns, str(value["target"]), None if found is None else _statistics(*found))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"its preprocessing of the table's columns is damaged ({shortened(error)})") from None


def fit(
    inputs: np.ndarray, schema: Sequence[Column], target: str, targets: np.ndarray | None, max_categories: int
) -> Preprocessing:
    """Fit to training rows [N, C] and, for a regression, their targets [N].

    Raises UserError for columns with more than `max_categories` texts, and for one that is blank in all rows.
    """
    columns, too_many_categories = [], []
    for values, column in zip(inputs.T, schema, strict=True):
        filled = values[~np.isnan(values)]
        blanks = len(filled) < len(values)
        if not len(filled):
            raise UserError(
                f"column {column.name!r} is blank in every training row: leave it out by data.ignore=[{column.name}]"
            )
        if column.kind != "category":
            columns.append(FittedColumn(column, Statistics.of(filled), blanks))
            continue
        used = np.unique(filled).astype(np.int64).tolist()
        if len(used) > max_categories:
            too_many_categories.append((column.name, len(used)))
        kept = Column(column.name, column.kind, tuple(column.texts[index] for index in used))
        columns.append(FittedColumn(kept, Statistics(0.0, 1.0), blanks))
    if too_many_categories:
        counts = ", ".join(f"{name!r} {count:,}" for name, count in too_many_categories)
        names = ", ".join(name for name, _ in too_many_categories)
        raise UserError(
            f"columns with more different texts than data.max_categories={max_categories}: {counts} in "
            f"{len(inputs):,} rows; leave them out by data.ignore=[{names}], or raise data.max_categories"
        )
    return Preprocessing(tuple(columns), target, None if targets is None else Statistics.of(targets))


def _column(item: Mapping[str, Any]) -> FittedColumn:
    kind, texts = item["kind"], tuple(item["texts"])
    if kind not in ("number", "boolean", "date", "category") or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"kind {kind!r}")
    column = Column(str(item["name"]), kind, texts, str(item["format"]))
    check_date_format(column.format)
    return FittedColumn(column, _statistics(item["mean"], item["deviation"]), item["blanks"] is True)


def _statistics(mean: Any, deviation: Any) -> Statistics:
    found = Statistics(float(mean), float(deviation))
    if not (np.isfinite(found.mean) and np.isfinite(found.deviation) and found.deviation > 0.0):
        raise ValueError(f"mean {mean!r}, deviation {deviation!r}")
    return found
