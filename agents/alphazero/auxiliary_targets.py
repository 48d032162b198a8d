"""Auxiliary targets that are known when a game ends, computed for many games at once."""

from typing import Any

import torch
from torch import Tensor

from agents.alphazero.records import pack_bits
from agents.games.game import Game


def horizon_values(values: Tensor, outcome: Tensor, length: Tensor, horizons: tuple[float, ...]) -> Tensor:
    """float32 [G, L, T]: for each position the exponentially weighted mean of the search values from it on.

    TD(lambda) with lambda = 1 - 1/h for horizon h, so that values are h - 1 plies ahead in the mean; what comes after
    the end is the game's outcome (KataGo, "KataGoMethods.md", short-term value targets).
    values: float32 [G, L], the search's value of each position for player 0. outcome: float32 [G], player 0's reward.
    length: int64 [G], searched positions of each game; later columns are undefined.
    """
    share = 1.0 / torch.tensor(horizons, device=values.device)
    mean = outcome.to(torch.float32)[:, None].expand(-1, len(horizons))
    found = torch.empty((*values.shape, len(horizons)), device=values.device)
    for ply in reversed(range(values.shape[1])):
        # Elementwise, in the order of the game: a sum as one matrix product would depend on the batch in its rounding.
        mean = torch.where((ply < length)[:, None], mean + share * (values[:, ply, None] - mean), mean)
        found[:, ply] = mean
    return found


def final_boards(game: Game, state: Any) -> Tensor:
    """uint8 [G, 2, ceil(2 * H * W / 8)]: the final boards as player 0 and as player 1 see them, packed.

    Games that are not over, since a side resigned, have zeros.
    """
    over = game.done(state)
    first = torch.zeros(len(over), dtype=torch.int64, device=over.device)
    views = [game.final_board(state, player) & over[:, None, None, None] for player in (first, first + 1)]
    return torch.stack([pack_bits(view.flatten(1)) for view in views], 1)
