"""Nim as a turn-based environment, and environments that each break one rule of what can be searched.

Two players take one to three of `HEAP` stones in turn; who takes the last one wins.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from pettingzoo import AECEnv

HEAP = 9


class Nim(AECEnv[str, Any, Any], EzPickle):
    """Copied truly by attributes; deepcopy gives a new one, as of PettingZoo's classics."""

    metadata: dict[str, Any] = {"name": "nim_v0", "render_modes": ["ansi"], "is_parallelizable": False}  # noqa: RUF012
    agents_count = 2

    def __init__(self, render_mode: str | None = None) -> None:
        EzPickle.__init__(self, render_mode)
        super().__init__()
        self.render_mode = render_mode
        self.possible_agents = [f"player_{number}" for number in range(self.agents_count)]
        box = spaces.Box(0, 1, (3, HEAP, 3), np.int8)
        mask = spaces.Box(0, 1, (3,), np.int8)
        self._space = spaces.Dict({"observation": box, "action_mask": mask})
        self.heap = [HEAP]

    def observation_space(self, agent: str) -> Any:
        return self._space

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(3)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self.agents = self.possible_agents[:]
        self.heap[0] = HEAP
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, Any] = {agent: {} for agent in self.agents}
        self.agent_selection = self.agents[0]

    def step(self, action: Any) -> None:
        mover = self.agents.index(self.agent_selection)
        self.heap[0] -= self.taken(int(action))
        if self.heap[0] <= 0:
            self.finish(mover)
        self.agent_selection = self.agents[(mover + 1) % len(self.agents)]

    def taken(self, action: int) -> int:
        return action + 1

    def finish(self, winner: int) -> None:
        self.rewards = {agent: 1.0 if number == winner else -1.0 for number, agent in enumerate(self.agents)}
        self.terminations = dict.fromkeys(self.agents, True)

    def observe(self, agent: str) -> Any:
        board = np.zeros((3, HEAP, 3), np.int8)
        board[0, : max(self.heap[0], 0), self.shown_to(agent)] = 1
        return {"observation": board, "action_mask": self.mask()}

    def shown_to(self, agent: str) -> int:
        return int(agent != self.agent_selection)

    def mask(self) -> Any:
        return (np.arange(3) < self.heap[0]).astype(np.int8)

    def render(self) -> str:
        return "| " * self.heap[0] + f"({self.agent_selection})"


class Offers(Nim):
    """Keeps its state where only its own `clone` finds it."""

    _heaps: dict[int, int] = {}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.number = len(self._heaps)
        self._heaps[self.number] = HEAP

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        super().reset(seed, options)
        self._heaps[self.number] = HEAP

    def step(self, action: Any) -> None:
        self.heap[0] = self._heaps[self.number]
        super().step(action)
        self._heaps[self.number] = self.heap[0]

    def observe(self, agent: str) -> Any:
        self.heap[0] = self._heaps[self.number]
        return super().observe(agent)

    def clone(self) -> Offers:
        made = Offers(self.render_mode)
        made.reset()
        made.agent_selection, made.heap[0] = self.agent_selection, self._heaps[self.number]
        made._heaps[made.number] = made.heap[0]
        made.rewards, made.terminations = dict(self.rewards), dict(self.terminations)
        return made


class OneModule(Nim):
    """Its state is a global of its module: there can be one game at a time in a process."""

    _module = [HEAP]  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)

    @property
    def heap(self) -> list[int]:
        return self._module

    @heap.setter
    def heap(self, value: list[int]) -> None:
        self._module[:] = value


class LosesItsWay(Nim):
    """Deepcopy and copies of attributes give a reset environment: its state is in what neither copies."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.held = Holder()
        self.heap = self.held

    def __deepcopy__(self, memo: Any) -> LosesItsWay:
        made = LosesItsWay(self.render_mode)
        made.reset()
        return made


class Holder(list[int]):
    """A list that copies of are new ones."""

    def __init__(self) -> None:
        super().__init__([HEAP])

    def __deepcopy__(self, memo: Any) -> Holder:
        return Holder()


class OldAtTheEnd(Nim):
    """When the game is over it shows the position before the last move, as Shimmy does."""

    def step(self, action: Any) -> None:
        self.before = self.heap[0]
        super().step(action)

    def finish(self, winner: int) -> None:
        super().finish(winner)
        self.heap[0] = self.before


class HiddenDice(Nim):
    """Takes one more stone now and then, by a generator that the seed does not reach."""

    def taken(self, action: int) -> int:
        return action + 1 + (os.urandom(1)[0] < 128)


class SeededDice(Nim):
    """Chance that the seed decides."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        super().reset(seed, options)
        self.dice = random.Random(seed)

    def taken(self, action: int) -> int:
        return action + 1 + self.dice.randrange(2)


class StaleReset(Nim):
    """The second game begins with one stone less."""

    begun = 0

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        super().reset(seed, options)
        self.heap[0] -= self.begun % 2
        self.begun += 1


class Hidden(Nim):
    """Nobody sees the heap of the other's making: an observation shows what the own last move was alone."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        super().reset(seed, options)
        self.last = dict.fromkeys(self.agents, 0)

    def taken(self, action: int) -> int:
        self.last[self.agent_selection] = action + 1
        return 1

    def observe(self, agent: str) -> Any:
        board = np.zeros((3, HEAP, 3), np.int8)
        board[1, self.last[agent], 0] = 1
        return {"observation": board, "action_mask": self.mask()}

    def mask(self) -> Any:
        return np.ones(3, np.int8)


class Simultaneous(Nim):
    """What the first player takes shows when the second has chosen too."""

    def step(self, action: Any) -> None:
        if self.agent_selection == self.agents[0]:
            self.first = int(action)
            self.agent_selection = self.agents[1]
            return
        self.heap[0] -= (self.first + int(action)) % 3 + 1
        if self.heap[0] <= 0:
            self.finish(int(self.first > int(action)))
        self.agent_selection = self.agents[0]

    def mask(self) -> Any:
        return np.ones(3, np.int8)

    def shown_to(self, agent: str) -> int:
        return self.agents.index(agent)


class Three(Nim):
    agents_count = 3


class Twice(Nim):
    """Not a game in turns: after a move that takes two stones the same player is to move again."""

    def step(self, action: Any) -> None:
        mover = self.agent_selection
        super().step(action)
        if int(action) == 1 and not self.terminations[mover]:
            self.agent_selection = mover


class BothWin(Nim):
    def finish(self, winner: int) -> None:
        super().finish(winner)
        self.rewards = dict.fromkeys(self.agents, 1.0)


class NoMask(Nim):
    def observe(self, agent: str) -> Any:
        return super().observe(agent)["observation"]


class EndsForOne(Nim):
    def finish(self, winner: int) -> None:
        super().finish(winner)
        self.terminations[self.agents[winner]] = False


class Raises(Nim):
    def step(self, action: Any) -> None:
        raise RuntimeError("a stone is\nbroken")


class Faulty(Nim):
    """Dies or hangs when the last but one stone is taken and `path` exists, which it removes first unless `always`."""

    def __init__(
        self, path: str = "/nowhere", how: str = "dies", always: bool = False, render_mode: str | None = None
    ) -> None:
        super().__init__(render_mode)
        self.path, self.how, self.always = path, how, always

    def step(self, action: Any) -> None:
        super().step(action)
        path = Path(self.path)
        if self.heap[0] == 1 and path.exists():
            if not self.always:
                path.unlink()
            if self.how == "hangs":
                time.sleep(1000)
            if self.how == "fails":
                raise RuntimeError("a stone is broken")
            os._exit(1)
