"""A picture of what a decoder with attention reads for every symbol that it writes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.nets.seq2seq import shifted
from lab.plots.media import Image
from lab.sequences.examples import Examples
from lab.sequences.network import Translator
from lab.sequences.vocabulary import END, PAD, Symbols

_CELL, _GAP = 18, 14  # pixels of a square, and between maps
_LINE = 12  # pixels that a letter is high
_MOST, _LONGEST = 40, 12  # symbols of a sequence, and letters of a symbol, that are drawn


@torch.no_grad()
def attention_map(network: Translator, examples: Examples, answers: Tensor, inputs: Symbols, targets: Symbols) -> Image:
    """One map for each example, side by side: rows are the symbols of its answer [N, T], columns those of its input.

    Of long sequences the first `_MOST` symbols.
    """
    network.eval()
    device = next(network.parameters()).device
    source, lengths, answers = examples.inputs.to(device), examples.lengths.to(device), answers.to(device)
    body = network.body
    weights = body.decoder.attention_weights(shifted(PAD, answers), *body.encode(source, lengths)).mean(1).float().cpu()
    maps = []
    for row in range(len(source)):
        columns = [_name(token, inputs) for token in source[row, : int(lengths[row])].tolist()][:_MOST]
        rows = [_name(token, targets) for token in answers[row].tolist() if token != PAD][:_MOST]
        maps.append(_drawn(weights[row, : len(rows), : len(columns)].numpy(), rows, columns))
    return Image(
        "attention", _side_by_side(maps), "rows: what is written; columns: what is read for it; mistakes first"
    )


def _name(token: int, symbols: Symbols) -> str:
    if token == END:
        return "end"
    name = symbols.decode([token])
    return "_" if name == " " else (name if name.isprintable() else repr(name)[1:-1])[:_LONGEST]


def _drawn(weights: np.ndarray, rows: list[str], columns: list[str]) -> np.ndarray:
    """Weights [T, S] in [0, 1] as squares, white for 0 and dark blue for 1, under and beside their symbols."""
    from PIL import Image as Pictures
    from PIL import ImageDraw

    font, half = _font(), _CELL // 2
    left = 10 + round(max((font.getlength(name) for name in rows), default=0))
    top = 8 + _LINE * max(map(len, columns), default=1)
    shade = np.kron(weights, np.ones((_CELL, _CELL)))[:, :, None]
    cells = 255.0 + shade * (np.array([20.0, 40.0, 110.0]) - 255.0)
    pixels = np.full((top + len(rows) * _CELL, left + len(columns) * _CELL, 3), 255, dtype=np.uint8)
    pixels[top:, left:] = cells.astype(np.uint8)
    picture = Pictures.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((left, top, pixels.shape[1] - 1, pixels.shape[0] - 1), outline=(200, 200, 200))
    for number, name in enumerate(rows):
        pen.text((left - 4, top + number * _CELL + half), name, (0, 0, 0), font, anchor="rm")
    for number, name in enumerate(columns):
        for line, letter in enumerate(name):  # words stand one letter below the other
            pen.text((left + number * _CELL + half, 2 + _LINE * line), letter, (0, 0, 0), font, anchor="ma")
    return np.asarray(picture)


def _font() -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.truetype("DejaVuSans.ttf", 11)  # of the system, where it has it: more than English letters
    except OSError:
        return ImageFont.load_default(11)


def _side_by_side(maps: list[np.ndarray]) -> np.ndarray:
    height = max(picture.shape[0] for picture in maps)
    width = sum(picture.shape[1] + _GAP for picture in maps) - _GAP
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    left = 0
    for picture in maps:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _GAP
    return sheet
