"""Kernels of `agents.games.line_game`: one pass over the boards in place of a dozen tensor operations."""

import numpy as np
from numpy.typing import NDArray

from lab.jit import kernel

Bytes = NDArray[np.int8]
Integers = NDArray[np.int64]
Floats = NDArray[np.float32]

_DIRECTIONS, _RUNNING, _LAST_MOVER_WON, _DRAWN = 4, 0, 1, 2


@kernel
def step(
    cells: Bytes,
    plies: Integers,
    outcome: Bytes,
    action: Integers,
    columns: Integers,
    rays: Integers,
    length: int,
    gravity: bool,
    exact: bool,
    new_cells: Bytes,
    new_plies: Integers,
    new_outcome: Bytes,
) -> None:
    """`LineGame.step` of B boards; columns, rays: its tables. Written: the new state."""
    size, reach = cells.shape[1], rays.shape[1] // (2 * _DIRECTIONS)
    for board in range(cells.shape[0]):
        new_plies[board], new_outcome[board] = plies[board], outcome[board]
        if outcome[board] != _RUNNING:
            for cell in range(size):
                new_cells[board, cell] = cells[board, cell]
            continue
        target = action[board]
        if gravity:
            column = columns[target]
            height = 0
            while height < column.size - 1 and cells[board, column[height]] != 0:
                height += 1
            target = column[height]
        won = False
        for direction in range(_DIRECTIONS):
            adjacent = 0
            for side in range(2):
                first = (2 * direction + side) * reach
                for cell in rays[target, first : first + reach]:
                    if cells[board, cell] != 1:
                        break
                    adjacent += 1
            won |= adjacent == length - 1 if exact else adjacent >= length - 1
        for cell in range(size):
            new_cells[board, cell] = -cells[board, cell]
        new_cells[board, target] = -(cells[board, target] | 1)
        new_plies[board] += 1
        if won:
            new_outcome[board] = _LAST_MOVER_WON
        elif new_plies[board] == size:
            new_outcome[board] = _DRAWN


@kernel
def legal(cells: Bytes, outcome: Bytes, found: NDArray[np.bool_]) -> None:
    """`LineGame.legal`, into found [B, A]."""
    for board in range(found.shape[0]):
        for action in range(found.shape[1]):
            found[board, action] = cells[board, action] == 0 and outcome[board] == _RUNNING


@kernel
def key(cells: Bytes, hashes: Integers, keys: Integers) -> None:
    """`LineGame.key`, into keys [B]."""
    for board in range(keys.size):
        total = np.int64(0)
        for cell in range(hashes.size):
            total += cells[board, cell] * hashes[cell]
        keys[board] = total


@kernel
def observe(cells: Bytes, planes: Floats) -> None:
    """`LineGame.observe` for the player to move, into planes [B, 2, cells]."""
    for board in range(cells.shape[0]):
        for cell in range(cells.shape[1]):
            stone = cells[board, cell]
            planes[board, 0, cell] = stone == 1
            planes[board, 1, cell] = stone == -1


@kernel
def reward(plies: Integers, outcome: Bytes, found: Floats) -> None:
    """`LineGame.reward`, into found [B, 2]."""
    for board in range(plies.size):
        first = np.float32(0.0)
        if outcome[board] == _LAST_MOVER_WON:
            first = np.float32(plies[board] % 2 * 2 - 1)
        found[board, 0], found[board, 1] = first, -first
