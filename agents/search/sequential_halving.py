"""Visit schedules of sequential halving (Karnin et al. 2013; Danihelka et al. 2022, section 3.1)."""

import math
from functools import cache

import torch
from torch import Tensor


def considered_visits(considered: int, simulations: int) -> list[int]:
    """The visit count that the action of each simulation must have, for a number of considered actions.

    In each phase the remaining actions get equally many visits; then the better half remains.
    """
    if considered <= 1:
        return list(range(simulations))
    phases = math.ceil(math.log2(considered))
    visits = [0] * considered
    schedule: list[int] = []
    while len(schedule) < simulations:
        for _ in range(max(1, simulations // (phases * considered))):
            schedule.extend(visits[:considered])
            visits[:considered] = [v + 1 for v in visits[:considered]]
        considered = max(2, considered // 2)
    return schedule[:simulations]


@cache
def schedule_table(max_considered: int, simulations: int, device: torch.device) -> Tensor:
    """float32 [max_considered + 1, simulations]: row c is the schedule when c actions are considered."""
    rows = [considered_visits(c, simulations) for c in range(max_considered + 1)]
    return torch.tensor(rows, dtype=torch.float32, device=device).view(max_considered + 1, simulations)
