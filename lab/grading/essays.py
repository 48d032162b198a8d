"""Sets of graded essays: a CSV file, or essays that a grammar generates."""

import hashlib
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lab.config.suggestions import did_you_mean, shortened
from lab.data.csv_file import CsvFile, numbers, read_csv
from lab.errors import UserError
from lab.grading.grammar import generate
from lab.grading.text import cleaned

if TYPE_CHECKING:
    from lab.grading.config import DataConfig

_log = logging.getLogger(__name__)
MOST_GRADES = 100
_TEXTS, _SCORES = ("text", "essay", "full_text"), ("overall", "score", "grade")
_LEAST = 20  # essays


@dataclass(frozen=True, eq=False)
class EssaySet:
    """N essays. texts [N]; prompts: the task that each answers, "" where none is named; scores float64 [N, O], the
    score and then traits, NaN where a trait has none; names [O] of these; source: in words, for errors."""

    source: str
    texts: list[str]
    prompts: list[str]
    scores: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over texts, prompts, scores and their names."""
        digest = hashlib.sha256(repr((self.names, self.texts, self.prompts)).encode("utf-8", "surrogatepass"))
        digest.update(self.scores.tobytes())
        return digest.hexdigest()

    @property
    def grades(self) -> np.ndarray:
        """The different scores, increasing."""
        return np.unique(self.scores[:, 0])


def open_essays(config: "DataConfig", seed: int) -> EssaySet:
    """The essays of a configuration. Raises UserError with the line and column of a cell that does not fit."""
    if config.source is None:
        made = generate(config.size, seed)
        return EssaySet("the generated essays", made.texts, made.prompts, made.scores, made.names)
    found = _read(config, read_csv(Path(os.path.expanduser(config.source))))
    if len(found) < _LEAST:
        raise UserError(f"{found.source} has {len(found)} essays; give at least {_LEAST}")
    grades = found.grades
    if len(grades) == 1:
        raise UserError(f"{found.source}: every essay has the score {grades[0]:g}; a grader needs different scores")
    if len(grades) > MOST_GRADES:
        raise UserError(
            f"{found.source} has {len(grades)} different scores, and at most {MOST_GRADES} are told apart: round them"
        )
    return found


def _read(config: "DataConfig", file: CsvFile) -> EssaySet:
    text = text_column(file, config.text)
    score = _column(file, config.score, _SCORES, "data.score")
    prompt = config.prompt if config.prompt in file.columns else None
    if prompt is None and config.prompt != "prompt":
        raise UserError(f"data.prompt: {file.source} has no column {config.prompt!r}")
    traits = _traits(config, file, (text, score, prompt))
    texts = [cleaned(cell) for cell in file.cells(text)]
    for row, essay in enumerate(texts):
        if not any(letter.isalpha() for letter in essay):
            state = "is empty" if not essay else f"is {shortened(essay)}, without a letter"
            raise UserError(f"{file.where(row, text)} {state}; write the essay there or leave the row out")
    values = numbers(file, score)
    for name, limit, sign in (("lowest", config.lowest, 1.0), ("highest", config.highest, -1.0)):
        if limit is not None and (outside := sign * (values - limit) < 0.0).any():
            row = int(outside.argmax())
            raise UserError(
                f"{file.where(row, score)} is {values[row]:g}, beyond data.{name}={limit:g}; correct it or the limit"
            )
    prompts = [""] * len(texts) if prompt is None else file.cells(prompt)
    scores = np.stack([values, *(_trait(file, name) for name in traits)], 1)
    return EssaySet(file.source, texts, prompts, scores, (score, *traits))


def text_column(file: CsvFile, given: str | None) -> str:
    """The column of the essays: the one that is given, else the one with a usual name. Raises UserError."""
    return _column(file, given, _TEXTS, "data.text")


def _column(file: CsvFile, given: str | None, usual: Sequence[str], setting: str) -> str:
    found = [given] if given is not None else [name for name in usual if name in file.columns]
    if not found or found[0] not in file.columns:
        hint = did_you_mean(given, file.columns) if given is not None else f"name one of {', '.join(file.columns)}"
        missing = repr(given) if given is not None else " or ".join(usual)
        raise UserError(f"{setting}: {file.source} has no column {missing}; {hint}")
    return found[0]


def _traits(config: "DataConfig", file: CsvFile, taken: Sequence[str | None]) -> list[str]:
    """The columns of traits: those that are named, else all further ones of numbers that look like scores."""
    if config.traits is not None:
        named = [_column(file, name, (), "data.traits") for name in config.traits]
        for at, name in enumerate(named):
            if name in taken or name in named[:at]:
                raise UserError(f"data.traits: {name!r} is already read; leave it out")
        return named
    return [name for name in file.columns if name not in taken and _looks_like_a_trait(file, name)]


def _looks_like_a_trait(file: CsvFile, name: str) -> bool:
    """Whether a column has numbers, and neither one for all essays nor one for each, as their numbers are."""
    cells = [cell for cell in file.cells(name) if cell]
    if not cells or any(file.flaw(cell) for cell in cells):
        return False
    different = len(set(cells))
    if not 1 < different < min(len(cells), MOST_GRADES + 1):
        _log.warning(f"{file.source}: {name!r} has {different:,} different numbers and is not read as a trait")
        return False
    return True


def _trait(file: CsvFile, name: str) -> np.ndarray:
    """A column float64 [N], NaN where it is blank."""
    values = []
    for row, cell in enumerate(file.cells(name)):
        if cell and (flaw := file.flaw(cell)):
            raise UserError(f"{file.where(row, name)} {flaw}; write a number there, or nothing")
        values.append(file.number(cell) if cell else math.nan)
    found = np.array(values, np.float64)
    if not np.isfinite(found).any():
        raise UserError(f"{file.source}: the trait {name!r} is blank in every row; leave it out of data.traits")
    return found
