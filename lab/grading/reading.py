"""Essays that are to be graded: a file of one, a CSV file of many, or standard input."""

import os
import sys
from pathlib import Path

from lab.config.suggestions import shortened
from lab.data.csv_file import read_csv
from lab.errors import UserError
from lab.files.plain import read_regular
from lab.grading.config import DataConfig
from lab.grading.essays import text_column
from lab.grading.text import cleaned

_LARGEST = 10_000_000  # bytes


def read_essays(given: str, config: DataConfig) -> list[str]:
    """The essay of a text file or of standard input (-), or those of the rows of a .csv file. Raises UserError."""
    if given == "-":
        return [checked(_decoded(sys.stdin.buffer.read(_LARGEST + 1), "standard input"), "standard input")]
    path = Path(os.path.expanduser(given))
    if path.suffix.lower() == ".csv":
        file = read_csv(path)
        column = text_column(file, config.text)
        return [checked(text, file.where(row, column)) for row, text in enumerate(file.cells(column))]
    try:
        data = read_regular(path, _LARGEST)
    except FileNotFoundError:
        raise UserError(
            f"there is no file {shortened(given)}: give a text file with one essay, or - to type it"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{shortened(given)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return [checked(_decoded(data, given), given)]


def checked(text: str, name: str) -> str:
    """The text as it is counted; UserError that names it if there is nothing to grade in it."""
    text = cleaned(text)
    if not text:
        raise UserError(f"{name} is empty: there is no essay to grade")
    if not any(letter.isalpha() for letter in text):
        raise UserError(f"{name} has no letters: there is no essay to grade")
    return text


def _decoded(data: bytes, name: str) -> str:
    if len(data) > _LARGEST:
        raise UserError(f"{name} has more than {_LARGEST:,} bytes: give an essay")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is no text in UTF-8 (byte {error.start:,}): save it as a UTF-8 text file") from None
