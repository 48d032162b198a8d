"""Media of an evaluation: tables, images, videos and text. Sinks decide how to display them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows of plain values under named columns. Raises ValueError when a row's length differs."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name!r}: row {number} has {len(row)} cells, not {len(self.columns)}")


@dataclass(frozen=True, eq=False)
class Image:
    """One image, `pixels` [H, W, C] uint8 with C = 1, 3 (RGB) or 4 (RGBA); ValueError for anything else."""

    name: str
    pixels: np.ndarray
    caption: str = ""

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if dtype != "uint8" or len(shape) != 3 or shape[2] not in (1, 3, 4):
            raise ValueError(f"image {self.name!r} must be uint8 [H, W, 1|3|4], not {dtype} {list(shape)}")


@dataclass(frozen=True)
class Video:
    """A clip in a file of the run, .gif or .mp4."""

    name: str
    path: Path
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """Plain text shown in a fixed-width font: a board, a game record."""

    name: str
    text: str
    caption: str = ""


Media = Table | Image | Video | Text
