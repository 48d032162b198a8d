"""Connected regions of points, and the Tromp-Taylor area: stones, and empty regions that border on one colour only."""

import torch
from torch import Tensor

from agents.games.go.chains import equal
from agents.games.go.geometry import Geometry


def area_score(board: Geometry, stones: Tensor, *, fixed_rounds: bool) -> Tensor:
    """int16 [B]: black points minus white points of stones int8 [B, S]. All stones are alive.

    fixed_rounds: do not look whether the boards are finished, so that the program need not wait for the device.
    """
    colours = area_colours(board, stones, fixed_rounds=fixed_rounds)
    return (equal(colours, 1) - equal(colours, 2)).sum(1, dtype=torch.int16)


def area_colours(board: Geometry, stones: Tensor, *, fixed_rounds: bool) -> Tensor:
    """int8 [B, S]: the colour of each stone, and those of the stones beside each empty region.

    1 for black, 2 for white, 3 for both, 0 for none. fixed_rounds: as `area_score`.
    """
    colours = equal(stones, 1) + 2 * equal(stones, -1)
    return _by_regions(board, stones, colours) if fixed_rounds else _by_flooding(board, stones, colours)


def _by_flooding(board: Geometry, stones: Tensor, colours: Tensor) -> Tensor:
    """Colours of stones and regions int8 [B, S] from those of the stones: they flow into the empty points around."""
    empty = board.inner(equal(stones, 0))
    while True:
        above, below, left, right = board.around(colours)
        flooded = colours.clone()
        board.inner(flooded).bitwise_or_((above | below | left | right) * empty)
        if torch.equal(flooded, colours):
            return flooded
        colours = flooded


def _by_regions(board: Geometry, stones: Tensor, colours: Tensor) -> Tensor:
    """The same: the colours beside the points of each region are put together."""
    empty = equal(stones, 0)
    region = connected_regions(board, empty.bool()).long()
    for colour in (1, 2):
        above, below, left, right = board.around((colours & colour).to(torch.int16))
        beside = board.rows(above + below + left + right)
        of_region = torch.zeros_like(region, dtype=torch.int16)
        of_region.scatter_add_(1, board.rows(board.inner(region)), beside)
        colours = colours | (of_region.gather(1, region) > 0).to(torch.int8) * empty * colour
    return colours


def connected_regions(board: Geometry, members: Tensor) -> Tensor:
    """int16 [B, S]: for each of the `members` bool [B, S] the number of its region, a cell of it; 0 elsewhere.

    The number of rounds depends on the board's size only (Boruvka's algorithm): in each, every part of a region joins a
    neighbouring part, so that the number of parts at least halves.
    """
    cells = members.shape[1]
    numbers = torch.arange(cells, dtype=torch.int16, device=members.device)
    region = numbers * members
    rounds = (board.size**2 - 1).bit_length()
    for step in range(rounds):
        # The smallest number among the other parts beside each cell, then among those beside each part.
        beside = torch.full_like(region, cells)
        own = board.inner(region)
        for other in board.around(region):
            usable = (other != own) & (other != 0) & (own != 0)
            board.inner(beside).copy_(board.inner(beside).minimum(torch.where(usable, other, cells)))
        goal = torch.full_like(region, cells).scatter_reduce_(1, region.long(), beside, "amin")
        goal = torch.where(goal < cells, goal, numbers)
        # Of two parts that chose each other the smaller stays. There are no longer circles, because the goal of a
        # part's goal is at most the part itself.
        back = goal.gather(1, goal.long())
        goal = torch.where((back == numbers) & (numbers < goal), numbers, goal)
        for _ in range(rounds - step):
            goal = goal.gather(1, goal.long())
        region = goal.gather(1, region.long())
    return region
