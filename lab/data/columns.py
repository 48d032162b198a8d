"""What a column of a table holds - numbers, truth values, dates or categories - and its cells as numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from lab.config.suggestions import shortened
from lab.data.csv_file import CsvFile
from lab.errors import UserError

Kind = Literal["number", "boolean", "date", "category"]
Blanks = Literal["impute", "refuse"]

_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "nat", "?"}  # not in text
_TRUTH = ({"false": 0.0, "true": 1.0}, {"no": 0.0, "yes": 1.0}, {"f": 0.0, "t": 1.0}, {"n": 0.0, "y": 1.0})
_TRUTH_VALUES = {word: value for words in _TRUTH for word, value in words.items()}
_ISO = "ISO 8601"
_DATES = ("%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_NUMERIC = re.compile(r"(?=.*\d)[\d\s.,'_%$€£¥+-]+")  # 1,234 or 15% or $3.50: numbers that float() refuses
_SPELLED = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d", "HH": "%H", "MM": "%M", "SS": "%S"}
_LIKE_A_DATE = re.compile(r"\d+[./-]\d+[./-]\d+( .*)?")
_EPOCH = datetime(1970, 1, 1)
_EXAMPLE = datetime(2024, 12, 31, 23, 59)


@dataclass(frozen=True)
class Column:
    """An input column. texts: of a category, in order. format: of a date, ISO 8601 or a pattern of strptime."""

    name: str
    kind: Kind
    texts: tuple[str, ...] = ()
    format: str = ""


@dataclass(frozen=True)
class Reading:
    """How columns are read.

    blanks: whether empty cells (and NA, NaN, null, ...) are imputed or refused. ignore: columns that are left out.
    categories: columns that are read as text, whatever is in them. date_format: of all dates, as dd/mm/yyyy HH:MM:SS or
    as a pattern of strptime; "" for ISO 8601 and the common ones.
    """

    blanks: Blanks = "refuse"
    ignore: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    date_format: str = ""

    def __post_init__(self) -> None:
        """Raises UserError for a date format that no date can have."""
        try:
            check_date_format(_strptime_pattern(self.date_format))
        except ValueError as error:
            raise UserError(f"data.date_format={self.date_format}: {error}; write it as in dd/mm/yyyy") from None


def check_date_format(pattern: str) -> None:
    """Raise ValueError for a pattern that is none of strptime, or that has a part twice."""
    try:
        datetime.strptime("", pattern)
    except re.error:
        raise ValueError("a part of the date is given twice") from None
    except ValueError as error:
        if "does not match format" not in str(error):
            raise


def column_of(file: CsvFile, name: str, reading: Reading) -> Column:
    """The kind of a column, from all its cells. Raises UserError that names a cell which does not fit the others."""
    cells = file.cells(name)
    if name in reading.categories:
        return Column(name, "category", _texts(cells))
    if file.plain_numbers(cells) is not None:
        return Column(name, "number")
    filled = [cell for cell in cells if not is_blank(cell)]
    if not filled:
        if reading.blanks == "refuse":
            _refuse(file, 0, name, cells[0])
        raise UserError(f"{file.source}: column {name!r} is blank in every row; leave it out by data.ignore=[{name}]")
    numeric = sum(file.number(cell) is not None for cell in filled)
    if numeric == len(filled):
        return Column(name, "number")
    folded = {cell.casefold() for cell in filled}
    if any(folded <= words.keys() for words in _TRUTH):
        return Column(name, "boolean")
    pattern, dated = _date_pattern(file, name, filled, reading.date_format)
    if dated == len(filled):
        return Column(name, "date", format=pattern)
    if 2 * dated >= len(filled):
        row = next(i for i, cell in enumerate(cells) if not is_blank(cell) and _days(cell, pattern) is None)
        raise UserError(
            f"{file.where(row, name)} is {shortened(cells[row])}, not a date; write one there, {_as_text(name)}"
        )
    odd = [i for i, cell in enumerate(cells) if not is_blank(cell) and file.number(cell) is None]
    if numeric or all(_NUMERIC.fullmatch(cell) for cell in filled):
        flaw = file.flaw(cells[odd[0]])
        date = ", or set data.date_format if it is a date" if _LIKE_A_DATE.fullmatch(cells[odd[0]]) else ""
        raise UserError(f"{file.where(odd[0], name)} {flaw}; write a number there, {_as_text(name)}{date}")
    return Column(name, "category", _texts(cells))


def read_column(file: CsvFile, column: Column, blanks: Blanks) -> tuple[np.ndarray, tuple[str, ...]]:
    """The cells float64 [N] as numbers, and the texts of a category.

    A truth value is 0 or 1, a date is its days since 1970, a category an index into the texts: those of the column
    first, then those that it does not have. Blank cells are NaN. Raises UserError, with line and column.
    """
    cells = file.cells(column.name)
    plain = file.plain_numbers(cells) if column.kind == "number" else None
    if plain is not None:
        return plain, ()
    values = np.empty(len(cells))
    numbers = {text: index for index, text in enumerate(column.texts)}
    for row, cell in enumerate(cells):
        if not cell or (column.kind != "category" and is_blank(cell)):
            if blanks == "refuse":
                _refuse(file, row, column.name, cell)
            values[row] = np.nan
        elif column.kind == "category":
            values[row] = numbers.setdefault(cell, len(numbers))
        elif column.kind == "number":
            if flaw := file.flaw(cell):
                raise UserError(f"{file.where(row, column.name)} {flaw}; write a number there, or leave the row out")
            values[row] = file.number(cell)
        else:
            value = _truth(file, cell) if column.kind == "boolean" else _days(cell, column.format)
            if value is None:
                raise UserError(f"{file.where(row, column.name)} is {shortened(cell)}, not {_wanted(column)}")
            values[row] = value
    return values, tuple(numbers)


def is_blank(cell: str) -> bool:
    """Whether a stripped cell is empty or a word for it, such as NA, NaN or null."""
    return cell.casefold() in _MISSING


def _truth(file: CsvFile, cell: str) -> float | None:
    """0 or 1; also of these numbers, as which other programs write truth values."""
    number = file.number(cell)
    return number if number in (0.0, 1.0) else _TRUTH_VALUES.get(cell.casefold())


def _wanted(column: Column) -> str:
    """What a cell of truth values or dates has to be, and the fix."""
    if column.kind == "boolean":
        return "a truth value; write true or false, yes or no, t or f, y or n, or 1 or 0, or leave the row out"
    example = "2024-12-31" if column.format == _ISO else _EXAMPLE.strftime(column.format)
    return f"a date; write one as {example}, or leave the row out"


def _texts(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({cell for cell in cells if cell}))


def _as_text(name: str) -> str:
    return f"leave the row out, or read the column as text with data.categories=[{name}]"


def _refuse(file: CsvFile, row: int, name: str, cell: str) -> None:
    flaw = f"is {cell}" if cell else "is empty"
    raise UserError(f"{file.where(row, name)} {flaw}; fill it, leave the row out, or impute it with data.blanks=impute")


def _date_pattern(file: CsvFile, name: str, cells: Sequence[str], given: str) -> tuple[str, int]:
    """The pattern that fits the most cells, and how many. Raises UserError if two fit that differ in meaning."""
    if given:
        given = _strptime_pattern(given)
        return given, sum(_days(cell, given) is not None for cell in cells)
    # Most texts are no dates: a few cells decide which patterns are tried on all.
    tried = [_ISO, *(date + time for date in _DATES for time in _TIMES)]
    sample = cells[:20]
    likely = [pattern for pattern in tried if any(_days(cell, pattern) is not None for cell in sample)]
    counts = {pattern: sum(_days(cell, pattern) is not None for cell in cells) for pattern in likely}
    if not counts:
        return _ISO, 0
    most = max(counts.values())
    best = [pattern for pattern, count in counts.items() if count == most]
    if len(best) > 1 and any(len({_days(cell, pattern) for pattern in best} - {None}) > 1 for cell in cells):
        one, other = (_spelled(pattern) for pattern in best[:2])
        raise UserError(
            f"{file.source}: column {name!r} has dates such as {shortened(cells[0])} of which either number may be the "
            f'day: set data.date_format="{one}" or "{other}"'
        )
    return best[0], most


def _strptime_pattern(given: str) -> str:
    """The pattern of strptime for a date format that may be written as dd/mm/yyyy."""
    return given if "%" in given else re.sub("|".join(_SPELLED), lambda found: _SPELLED[found[0]], given)


def _spelled(pattern: str) -> str:
    """A pattern of strptime as a person writes it."""
    for word, directive in _SPELLED.items():
        pattern = pattern.replace(directive, word)
    return pattern


def _days(cell: str, pattern: str) -> float | None:
    """Days since 1970, in UTC where a cell has a time zone."""
    try:
        found = datetime.fromisoformat(cell) if pattern == _ISO else datetime.strptime(cell, pattern)
    except ValueError:
        return None
    if found.tzinfo is not None:
        try:
            found = found.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:  # year 1 or 9999
            return None
    return (found - _EPOCH).total_seconds() / 86400.0
