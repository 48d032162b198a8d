"""Visit schedules of sequential halving (Karnin et al. 2013; Danihelka et al. 2022, section 3.1)."""

import math
from functools import cache

import torch
from torch import Tensor


def considered_visits(considered: int, simulations: int) -> list[int]:
    """How many visits the action of each simulation must have had: the schedule for one number of actions.

    The actions still considered get equally many visits in a phase; then the better half goes on.
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
def schedule_table(most_considered: int, simulations: int, device: torch.device) -> Tensor:
    """float32 [most_considered + 1, simulations]: row c is the schedule when c actions are considered."""
    rows = [considered_visits(c, simulations) for c in range(most_considered + 1)]
    return torch.tensor(rows, dtype=torch.float32, device=device).view(most_considered + 1, simulations)
