"""A picture of what a decoder with attention reads for every symbol that it writes."""

import numpy as np
import torch
from torch import Tensor

from lab.media import Image
from lab.nets.seq2seq import shifted
from lab.sequences.examples import Examples
from lab.sequences.network import Translator
from lab.sequences.symbols import END, PAD, Symbols

_CELL, _GAP = 18, 14  # pixels of a square, and between maps
_LETTER, _LINE = 7, 12  # pixels that a letter is wide and high


@torch.no_grad()
def attention_map(network: Translator, examples: Examples, answers: Tensor, inputs: Symbols, targets: Symbols) -> Image:
    """One map for each example, side by side: rows are the symbols of its answer [N, T], columns those of its input."""
    network.eval()
    device = next(network.parameters()).device
    source, lengths, answers = examples.inputs.to(device), examples.lengths.to(device), answers.to(device)
    body = network.body
    weights = body.decoder.attention_weights(shifted(PAD, answers), *body.encode(source, lengths)).mean(1).float().cpu()
    maps = []
    for row in range(len(source)):
        columns = [_name(token, inputs) for token in source[row, : int(lengths[row])].tolist()]
        rows = [_name(token, targets) for token in answers[row].tolist() if token != PAD]
        maps.append(_drawn(weights[row, : len(rows), : len(columns)].numpy(), rows, columns))
    return Image("attention", _side_by_side(maps), "rows: what is written; columns: what is read for it")


def _name(token: int, symbols: Symbols) -> str:
    return "." if token == END else symbols.decode([token])


def _drawn(weights: np.ndarray, rows: list[str], columns: list[str]) -> np.ndarray:
    """Weights [T, S] in [0, 1] as squares, white for 0 and dark blue for 1, under and beside their symbols."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    left, top = 8 + _LETTER * max(map(len, rows), default=1), 8 + _LINE * max(map(len, columns), default=1)
    shade = np.kron(weights, np.ones((_CELL, _CELL)))[:, :, None]
    cells = 255.0 + shade * (np.array([20.0, 40.0, 110.0]) - 255.0)
    pixels = np.full((top + len(rows) * _CELL, left + len(columns) * _CELL, 3), 255, dtype=np.uint8)
    pixels[top:, left:] = cells.astype(np.uint8)
    picture = Pictures.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for number, name in enumerate(rows):
        pen.text((4, top + number * _CELL + 3), name, fill=(0, 0, 0))
    for number, name in enumerate(columns):
        # Words stand one letter below the other.
        pen.text((left + number * _CELL + 6, 2), "\n".join(name), fill=(0, 0, 0), spacing=0)
    return np.asarray(picture)


def _side_by_side(maps: list[np.ndarray]) -> np.ndarray:
    height = max(picture.shape[0] for picture in maps)
    width = sum(picture.shape[1] + _GAP for picture in maps) - _GAP
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    left = 0
    for picture in maps:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _GAP
    return sheet
