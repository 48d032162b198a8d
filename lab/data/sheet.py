"""Contact sheet of an image set: one row per class, or images evenly chosen from the whole set."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lab.data.images import ImageSet
from lab.errors import UserError
from lab.files import durable

_COLUMNS, _ROWS = 8, 8
_CLASSES = 16  # rows of a labelled set
_TILE, _GAP = 128, 2  # largest side of an image and gap between images, in pixels


def contact_sheet(data: ImageSet) -> np.ndarray:
    """uint8 [H, W, C]: a row of eight images for each of up to 16 classes; without labels 64 images."""
    if data.labels is None:
        chosen = _evenly_chosen(np.arange(len(data)), _ROWS * _COLUMNS)
        rows = [chosen[start : start + _COLUMNS] for start in range(0, len(chosen), _COLUMNS)]
    else:
        classes = _evenly_chosen(np.unique(data.labels), _CLASSES)
        rows = [_evenly_chosen(np.flatnonzero(data.labels == k), _COLUMNS) for k in classes]
    tiles = [[_tile(data.images[index]) for index in row] for row in rows]
    pitch, columns = tiles[0][0].shape[0] + _GAP, max(len(row) for row in tiles)
    sheet = np.full((len(tiles) * pitch - _GAP, columns * pitch - _GAP, data.channels), 128, np.uint8)
    for top, row in enumerate(tiles):
        for left, tile in enumerate(row):
            place = slice(top * pitch, (top + 1) * pitch - _GAP), slice(left * pitch, (left + 1) * pitch - _GAP)
            sheet[place] = tile
    return sheet


def save_sheet(path: Path, data: ImageSet) -> None:
    """Write the contact sheet as a PNG, atomically. Raises UserError."""
    from PIL import Image

    sheet, encoded = contact_sheet(data), io.BytesIO()
    Image.fromarray(sheet[:, :, 0] if data.channels == 1 else sheet).save(encoded, "PNG")
    try:
        durable.write_durably(path, encoded.getvalue())
    except OSError as error:
        raise UserError(durable.explain(error, path, "try again")) from error


def _evenly_chosen(values: np.ndarray, most: int) -> Sequence[int]:
    """At most `most` entries, evenly spaced from the first to the last."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)].tolist()


def _tile(image: np.ndarray) -> np.ndarray:
    """[C, H, H] -> [T, T, C], T up to 128, by average pooling."""
    channels, side = image.shape[:2]
    step = max(1, side // _TILE)
    boxes = image.reshape(channels, side // step, step, side // step, step)
    return boxes.mean((2, 4)).round().astype(np.uint8).transpose(1, 2, 0)
