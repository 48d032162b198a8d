"""The loop of a search: when it reports, and when the channel tells it that nobody waits any more."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from agents.engines import thinking
from agents.engines.channel import Channel
from agents.engines.clock import Budget
from agents.engines.thinking import think
from agents.search.growing import Line

SIMULATION_S = 0.01


class FakeTree:
    """A tree whose simulations take 10 ms of a clock that the test owns."""

    def __init__(self, clock: list[float]) -> None:
        self._clock, self.simulations, self.full = clock, 0, False

    def simulate(self) -> None:
        self.simulations += 1
        self._clock[0] += SIMULATION_S

    def lines(self, count: int) -> list[Line]:
        return [Line(self.simulations, 0.0, 1.0, (0,))]


def report_times(cost_s: float, until_s: float, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When reports began, of a search of `until_s` seconds that reports every second."""
    clock, began = [0.0], list[float]()
    monkeypatch.setattr(thinking, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    tree: Any = FakeTree(clock)

    def report() -> None:
        began.append(clock[0])
        clock[0] += cost_s

    think(tree, Budget(held=True, now=lambda: clock[0]), stopped=lambda: clock[0] >= until_s, report=report)
    return began


def test_reports_come_soon_and_then_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    times = report_times(0.0, 4.0, monkeypatch)
    assert times == pytest.approx([0.1, 1.1, 2.1, 3.1], abs=5 * SIMULATION_S)


def test_reports_take_a_fifth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    times = report_times(1.0, 30.0, monkeypatch)
    assert times == pytest.approx([0.1, 5.1, 10.1, 15.1, 20.1, 25.1], abs=10 * SIMULATION_S)


@pytest.mark.skipif(sys.platform == "win32", reason="poll of POSIX")
def test_a_channel_knows_that_its_reader_is_gone() -> None:
    (reading, theirs), (ours, writing) = os.pipe(), os.pipe()
    channel = Channel(reading, writing)
    assert not channel.deserted
    os.close(theirs)  # the end of the input alone: the client may still read
    assert channel.lines.next() is None and not channel.deserted
    os.close(ours)
    assert channel.deserted
    os.close(writing)
