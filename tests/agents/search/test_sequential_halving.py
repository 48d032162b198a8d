"""Visit schedules of sequential halving."""

import math
from collections import Counter

import pytest
import torch

from agents.search.sequential_halving import considered_visits, schedule_table


def replay(considered: int, simulations: int) -> list[int]:
    """Final visits of each action when the schedule is followed and the lower index always looks better."""
    visits = [0] * considered
    for wanted in considered_visits(considered, simulations):
        visits[visits.index(wanted)] += 1
    return visits


def test_sixteen_actions_and_two_hundred_simulations() -> None:
    # Four phases of about 200 / 4 = 50: 16 actions 3 times, 8 actions 6 times, 4 actions 12 times, 2 actions
    # 25 times; that is 194, and the last 6 go to the two that are left.
    assert replay(16, 200) == [49] * 2 + [21] * 2 + [9] * 4 + [3] * 8


def test_seven_actions_and_thirty_two_simulations() -> None:
    # Three phases: 7 actions 32 // 21 = 1 time, 3 actions 32 // 9 = 3 times, 2 actions 32 // 6 = 5 times: 26
    # so far; then 3 more for both.
    assert replay(7, 32) == [12, 12, 4, 1, 1, 1, 1]


@pytest.mark.parametrize("considered", [2, 4, 8, 16, 32, 64])
def test_each_phase_gives_the_actions_left_equally_many_visits(considered: int) -> None:
    phases = int(math.log2(considered))
    simulations = 3 * phases * considered  # divides evenly
    expected, left, visits = [], considered, 0
    for _ in range(phases):
        visits += simulations // (phases * left)
        expected += [visits] * (left // 2)
        left //= 2
    # What each phase drops, and the winner of the last, which has as many visits as its last rival.
    assert sorted(replay(considered, simulations)) == sorted([*expected, visits])


@pytest.mark.parametrize("considered", [0, 1])
def test_a_single_action_gets_every_simulation(considered: int) -> None:
    assert considered_visits(considered, 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("considered", [2, 3, 5, 7, 8, 16, 20])
@pytest.mark.parametrize("simulations", [0, 1, 2, 7, 16, 50, 64, 200])
def test_every_schedule_can_be_followed(considered: int, simulations: int) -> None:
    schedule = considered_visits(considered, simulations)
    assert len(schedule) == simulations
    # The replay raises where no action has the visits wanted.
    assert sum(replay(considered, simulations)) == simulations
    assert schedule == sorted(schedule)
    # Every level is visited by at least two actions, except where the simulations run out.
    levels = Counter(schedule)
    assert all(levels[level] >= 2 for level in range(max(schedule, default=0)))
    # With enough simulations each action considered is tried.
    assert levels[0] == min(considered, simulations)


def test_the_table_has_one_row_per_number_of_actions() -> None:
    table = schedule_table(5, 12, torch.device("cpu"))
    assert table.shape == (6, 12)
    for considered in range(6):
        assert table[considered].tolist() == considered_visits(considered, 12)
