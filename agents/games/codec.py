"""States as bytes: an exact form of any game's positions for records, apart from the observation."""

import math
from typing import Any

import torch
from torch import Tensor

from agents.games.game import Game


def code_size(game: Game) -> int:
    """Bytes of the code of one position."""
    return sum(_row_bytes(field) for field in game.initial(0, torch.device("cpu")))


def encode(state: Any) -> Tensor:
    """uint8 [B, E]: the bytes of all fields, board by board. `decode` gives the same state, history included."""
    return torch.cat([_bytes(field) for field in state], 1)


def decode(game: Game, code: Tensor) -> Any:
    """The state of B boards from uint8 [B, E]; it plays on exactly as the one that was encoded.

    Raises ValueError for codes of another size.
    """
    template = game.initial(0, code.device)
    sizes = [_row_bytes(field) for field in template]
    if code.dtype != torch.uint8 or code.dim() != 2 or code.shape[1] != sum(sizes):
        raise ValueError(f"{game.name} has codes of {sum(sizes)} bytes, not {code.dtype} {list(code.shape)}")
    # A copy of each part: a slice of bytes may begin where no number of several bytes can, and so may each of its rows.
    parts = (part.clone(memory_format=torch.contiguous_format) for part in code.split(sizes, 1))
    fields = zip(parts, template, strict=True)
    return type(template)(*(part.view(field.dtype).view(-1, *field.shape[1:]) for part, field in fields))


def _row_bytes(field: Tensor) -> int:
    return math.prod(field.shape[1:]) * field.element_size()


def _bytes(field: Tensor) -> Tensor:
    return field.reshape(len(field), math.prod(field.shape[1:])).contiguous().view(torch.uint8)
