"""Contact sheet of an image set: one row per class, or images spread over the whole set."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lab.data.images import ImageSet
from lab.errors import UserError
from lab.files import durable

_COLUMNS, _ROWS = 8, 8
_CLASSES = 16  # rows of a labelled set
_TILE, _GAP = 128, 2  # most pixels of an image's side, and those between images


def contact_sheet(data: ImageSet) -> np.ndarray:
    """uint8 [H, W, C]: one row of eight images for each of up to 16 classes; without labels, 64 of the whole set."""
    if data.labels is None:
        chosen = _spread(np.arange(len(data)), _ROWS * _COLUMNS)
        rows = [chosen[start : start + _COLUMNS] for start in range(0, len(chosen), _COLUMNS)]
    else:
        classes = _spread(np.unique(data.labels), _CLASSES)
        rows = [_spread(np.flatnonzero(data.labels == k), _COLUMNS) for k in classes]
    tiles = [[_tile(data.images[index]) for index in row] for row in rows]
    pitch, columns = tiles[0][0].shape[0] + _GAP, max(len(row) for row in tiles)
    sheet = np.full((len(tiles) * pitch - _GAP, columns * pitch - _GAP, data.channels), 128, np.uint8)
    for top, row in enumerate(tiles):
        for left, tile in enumerate(row):
            place = slice(top * pitch, (top + 1) * pitch - _GAP), slice(left * pitch, (left + 1) * pitch - _GAP)
            sheet[place] = tile
    return sheet


def save_sheet(path: Path, data: ImageSet) -> None:
    """Write the contact sheet as a PNG, whole or not at all. Raises UserError."""
    from PIL import Image

    sheet, encoded = contact_sheet(data), io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if data.channels == 1 else sheet).save(encoded, "PNG")
    try:
        durable.write_durably(path, encoded.getvalue())
    except OSError as error:
        raise UserError(durable.explain(error, path, "try again")) from error


def _spread(of: np.ndarray, most: int) -> Sequence[int]:
    """At most `most` entries, evenly spaced from the first to the last."""
    return of[np.linspace(0, len(of) - 1, min(most, len(of))).round().astype(int)].tolist()


def _tile(image: np.ndarray) -> np.ndarray:
    """[C, H, H] -> [T, T, C], T up to 128, by average pooling."""
    channels, side = image.shape[:2]
    step = max(1, side // _TILE)
    boxes = image.reshape(channels, side // step, step, side // step, step)
    return boxes.mean((2, 4)).round().astype(np.uint8).transpose(1, 2, 0)
