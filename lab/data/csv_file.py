"""CSV files: the one reader of tables, time series and positions. Errors name the line of the file and the column."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.files.plain import read_regular

LARGEST = float(np.finfo(np.float32).max)
"""Largest number of a cell: networks compute in float32."""

_SEPARATORS = ",;\t|"
_LONGEST_NAME = 200
_PROBED = 2**16  # characters that are read to find the separator
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?|[+-]?\d{1,3}(\.\d{3})+,\d+")  # 1234,5 and 1.234,5
_UNNAMED = "unnamed {}"


@dataclass(frozen=True)
class CsvFile:
    """A header and rows of its length. lines: number of the first line of each row in the file, from 1.

    decimal_comma: numbers are written 1234,5; then no number has a decimal point.
    """

    source: str
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    decimal_comma: bool = False

    def cells(self, column: str) -> list[str]:
        """The cells of a column, stripped."""
        at = self.columns.index(column)
        return [row[at].strip() for row in self.rows]

    def where(self, row: int, column: str) -> str:
        """The place of a cell, for errors."""
        return f"{self.source}, line {self.lines[row]}: column {column!r}"

    def number(self, cell: str) -> float | None:
        """The number of a cell, which may be infinite or NaN; None if it is not a number."""
        if self.decimal_comma:
            if "." in cell and "," not in cell and _decimal(cell) is not None:
                return None  # 1.234 may be 1234 or 1.234
            cell = cell.replace(".", "").replace(",", ".") if _COMMA.fullmatch(cell) else cell
        return _decimal(cell)

    def plain_numbers(self, cells: Sequence[str]) -> np.ndarray | None:
        """The numbers float64 [N] of stripped cells, None unless all are finite numbers: fast for most columns."""
        if self.decimal_comma or "_" in "".join(cells):
            return None
        try:
            values = np.array([float(cell) for cell in cells])
        except ValueError:
            return None
        return values if bool(np.all(np.abs(values) <= LARGEST)) else None  # NaN is not

    def flaw(self, cell: str) -> str:
        """The reason why a stripped cell is not a finite number, "" for a number."""
        if not cell:
            return "is empty"
        number = self.number(cell)
        if number is None:
            dotted = self.decimal_comma and _decimal(cell) is not None
            return f"is {shortened(cell)}, not a number" + (", for others have decimal commas" if dotted else "")
        return "" if abs(number) <= LARGEST else f"is {cell[:60]}, not a finite number up to {LARGEST:.1e}"


def read_lines(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    """The rows of a file with the numbers of their first lines, and the separator of the cells.

    Lines without a cell are left out. The separator is a comma, semicolon, tab or |, whichever gives the most columns
    of equal length; a first line "sep=;" names it. Raises FileNotFoundError, and UserError for a file that is no CSV.
    """
    try:
        text = _decoded(read_regular(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read as a CSV file ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} cannot be read as a CSV file (byte {error.start:,} is not UTF-8): save it as CSV UTF-8"
        ) from None
    named = re.match(r"sep=(.)\r?\n", text)
    separator = named[1] if named else _separator(text)
    reader = csv.reader(io.StringIO(text[named.end() if named else 0 :], newline=""), delimiter=separator, strict=True)
    rows, first, skipped = [], 1, int(named is not None)
    try:
        for row in reader:
            rows.append((first + skipped, row))
            first = reader.line_num + 1
    except csv.Error as error:
        line = reader.line_num + skipped
        raise UserError(f"{path} cannot be read as a CSV file ({error}, line {line}): correct its quotes") from None
    one_column = all(len(row) <= 1 for _, row in rows)  # there, a line without a cell is an empty cell
    return [(line, row or [""]) for line, row in rows if row or one_column], separator


def read_csv(path: Path) -> CsvFile:
    """A table with a header. Raises UserError."""
    try:
        found, separator = read_lines(path)
    except FileNotFoundError:
        refuse_address(str(path))
        raise UserError(f"there is no file {path}") from None
    while found and not any(cell.strip() for cell in found[-1][1]):  # spreadsheets write empty last lines
        found.pop()
    if len(found) < 2:
        raise UserError(f"{path} has no rows: a table is a line of column names, then one line per row")
    columns = [name.strip() for name in found[0][1]]
    numbered = len(columns) > 1 and columns == [str(index) for index in range(len(columns))]
    if all(_decimal(name) is not None for name in columns) and not numbered:
        raise UserError(f"{path}: its first line is numbers; put a line with the names of the columns above it")
    for line, row in found[1:]:
        if len(row) != len(columns):
            raise UserError(f"{path}, line {line} has {len(row)} cells and the header {len(columns)}: correct the line")
    lines, rows = [line for line, _ in found[1:]], [row for _, row in found[1:]]
    kept = [at for at, name in enumerate(columns) if name or any(row[at].strip() for row in rows)]
    if len(kept) < len(columns):  # separators at the ends of all lines
        rows = [[row[at] for at in kept] for row in rows]
    names = [columns[at] or _UNNAMED.format(at + 1) for at in kept]
    longest = max(names, key=len)
    if len(longest) > _LONGEST_NAME:
        raise UserError(
            f"{path}: its first line has a cell of {len(longest):,} characters, {shortened(longest)}; put a line with "
            "the names of the columns above it"
        )
    repeated = [name for at, name in enumerate(names) if name in names[:at]]
    if repeated:
        raise UserError(
            f"{path}: column names of the header are repeated ({repeated[0]!r}); give each column its own name"
        )
    comma = separator != "," and any(_COMMA.fullmatch(cell.strip()) for row in rows for cell in row)
    return CsvFile(str(path), names, rows, lines, comma)


def refuse_address(source: str) -> None:
    """Raise UserError for an address such as https://host/table.csv, also as a path writes it, with one slash."""
    found = re.fullmatch(r"(https?|ftps?|s3|gs|file|hf):/+(.+)", source, re.IGNORECASE | re.DOTALL)
    if found:
        name = shortened(f"{found[1]}://{found[2]}", 300)
        raise UserError(f"{name} is an address, and only files are read: download it and give the file's path")


def check_named(file: CsvFile, used: Sequence[str], *, fix: str = "") -> None:
    """Raise UserError for a column without a name, such as an index, among `used`."""
    for at, name in enumerate(file.columns):
        if name in used and name == _UNNAMED.format(at + 1):
            raise UserError(f"{file.source}: column {at + 1} has no name in the header; give it one{fix.format(name)}")


def numbers(file: CsvFile, column: str, *, otherwise: str = "leave the row out") -> np.ndarray:
    """A column float64 [N] of finite numbers in the range of float32.

    Raises UserError that names the first other cell and the alternative to correcting it, `otherwise`.
    """
    cells = file.cells(column)
    plain = file.plain_numbers(cells)
    if plain is not None:
        return plain
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        if flaw := file.flaw(cell):
            raise UserError(f"{file.where(row, column)} {flaw}; write a number there or {otherwise}")
        values[row] = file.number(cell)
    return values


def texts(file: CsvFile, column: str) -> list[str]:
    """The cells of a column. Raises UserError that names the first empty one."""
    cells = file.cells(column)
    if "" in cells:
        raise UserError(f"{file.where(cells.index(''), column)} is empty; fill it or leave the row out")
    return cells


def _decoded(data: bytes) -> str:
    """Text in one normal form: an accent composed in one cell and decomposed in another is the same name."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return unicodedata.normalize("NFC", data.decode(encoding))


def _decimal(text: str) -> float | None:
    try:
        # Python reads 12_34 as 1234, and not the minus sign of typesetting.
        return None if "_" in text else float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return None


def _separator(text: str) -> str:
    """The separator with the most columns of which all first rows have the same number; else that of the header."""
    probe = text[:_PROBED]
    header = probe.splitlines()[0] if probe.strip() else ""
    best, most = ",", 1
    for separator in _SEPARATORS:
        if separator not in header:
            continue
        lengths = list(_lengths(probe, separator, cut=len(text) > _PROBED))
        if lengths and lengths[0] > most and len(set(lengths)) == 1:
            best, most = separator, lengths[0]
    return best if most > 1 else max(_SEPARATORS, key=header.count)


def _lengths(probe: str, separator: str, *, cut: bool) -> Iterator[int]:
    """Cells of each row with any; the last row of a text that was `cut` off is left out."""
    reader = csv.reader(io.StringIO(probe, newline=""), delimiter=separator)
    try:
        found = [len(row) for row in reader if row]
    except csv.Error:
        return
    yield from found[:-1] if cut else found
