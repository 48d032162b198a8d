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
        stones, after = cells[board], new_cells[board]
        new_plies[board], new_outcome[board] = plies[board], outcome[board]
        if outcome[board] != _RUNNING:
            after[:] = stones
            continue
        target = action[board]
        if gravity:
            column = columns[target]
            height = 0
            while height < column.size - 1 and stones[column[height]] != 0:
                height += 1
            target = column[height]
        near = rays[target]
        won = False
        for direction in range(_DIRECTIONS):
            adjacent = 0
            for side in range(2):
                place = (2 * direction + side) * reach
                end = place + reach
                while place < end and stones[near[place]] == 1:
                    place += 1
                adjacent += reach - (end - place)
            won |= adjacent == length - 1 if exact else adjacent >= length - 1
        mine = stones[target] | 1
        for cell in range(size):
            after[cell] = -stones[cell]
        after[target] = -mine
        new_plies[board] += 1
        if won:
            new_outcome[board] = _LAST_MOVER_WON
        elif new_plies[board] == size:
            new_outcome[board] = _DRAWN


@kernel
def successors(
    plies: Integers,
    new_plies: Integers,
    new_outcome: Bytes,
    factor: float,
    reward: Floats,
    discount: Floats,
    ended: NDArray[np.bool_],
) -> None:
    """What a search asks of boards after a step, see `LineGame.successors`, into reward, discount and ended [B]."""
    for board in range(plies.size):
        mover, next_player = plies[board] % 2, new_plies[board] % 2
        over = new_outcome[board] != _RUNNING
        won = np.float32(1.0 if new_outcome[board] == _LAST_MOVER_WON else 0.0)
        reward[board] = won if mover != next_player else -won
        sign = factor if mover == next_player else -factor
        discount[board] = np.float32(0.0 if over else sign)
        ended[board] = over


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
        stones = cells[board]
        total = np.int64(0)
        for cell in range(hashes.size):
            total += np.int64(stones[cell]) * hashes[cell]
        keys[board] = total


@kernel
def observe(cells: Bytes, planes: Floats) -> None:
    """`LineGame.observe` for the player to move, into planes [B, 2, cells]."""
    for board in range(cells.shape[0]):
        stones, mine, theirs = cells[board], planes[board, 0], planes[board, 1]
        for cell in range(stones.size):
            mine[cell] = np.float32(stones[cell] == 1)
            theirs[cell] = np.float32(stones[cell] == -1)


@kernel
def reward(plies: Integers, outcome: Bytes, found: Floats) -> None:
    """`LineGame.reward`, into found [B, 2]."""
    for board in range(plies.size):
        first = np.float32(0.0)
        if outcome[board] == _LAST_MOVER_WON:
            first = np.float32(plies[board] % 2 * 2 - 1)
        found[board, 0], found[board, 1] = first, -first
