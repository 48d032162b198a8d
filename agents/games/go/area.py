"""Connected regions of points, and the Tromp-Taylor area: stones, and empty regions that border on one colour only."""

import torch
from torch import Tensor

from agents.games.go.chains import equal
from agents.games.go.geometry import Geometry


def area_score(board: Geometry, stones: Tensor) -> Tensor:
    """int16 [B]: black points minus white points of stones int8 [B, S]. All stones are alive."""
    region = connected_regions(board, stones == 0).long()
    black, white = (equal(stones, colour).to(torch.int16) for colour in (1, -1))
    near_black, near_white = (_beside_region(board, region, colour) for colour in (black, white))
    # +1 where a region borders on black only, -1 on white only; 0 on both, or on nothing: the empty board.
    owner = (near_black.to(torch.int16) - near_white.to(torch.int16)) * equal(stones, 0)
    return (black - white + owner).sum(1, dtype=torch.int16)


def _beside_region(board: Geometry, region: Tensor, stones: Tensor) -> Tensor:
    """bool [B, S]: whether the region of each cell has a neighbour in stones int16 [B, S] of 0 and 1."""
    above, below, left, right = board.around(stones)
    beside = board.rows(above + below + left + right)
    neighbours = torch.zeros_like(stones).scatter_add_(1, board.rows(board.inner(region)), beside)
    return neighbours.gather(1, region) > 0


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
