"""One agent's searches for an engine: trees within a bound on memory, and the loop that a client can stop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from agents.alphazero.agent import Agent
from agents.engines.clock import Budget
from agents.games.game import Game
from agents.search import PuctSearch
from agents.search.growing import GrowingTree, Line
from agents.search.memory import node_bytes
from lab.errors import UserError

DEFAULT_MEMORY_MB, LARGEST_MEMORY_MB = 512, 65_536
_IDLE_S = 0.01
_FIRST_S = 0.1  # to the first report
_LEAST_PAUSE = 4.0  # between two reports, in durations of a report


@dataclass
class Thinker:
    """Searches of an agent: PUCT with the constants of the run, whatever algorithm the run plays with.

    simulations: of a move where the client sets no other limit.
    memory_mb: MiB that the tree may take; a search that fills it ends, or waits where it was to go on until stopped.
    """

    agent: Agent
    simulations: int
    memory_mb: int = DEFAULT_MEMORY_MB

    def __post_init__(self) -> None:
        self.forget()

    @property
    def game(self) -> Game:
        return self.agent.game

    @property
    def device(self) -> torch.device:
        return self.agent.device

    def forget(self) -> None:
        """Drop the cached evaluations of positions."""
        self._dynamics = self.agent.dynamics()

    def play(self, game: Game) -> None:
        """Go on with other options of the game, with which the network has the same shape."""
        if game.observation_shape != self.game.observation_shape or game.num_actions != self.game.num_actions:
            raise UserError(f"the network does not fit {game.name} with {dict(game.options)}")
        self.agent = replace(self.agent, game=game)
        self.forget()

    @torch.inference_mode()
    def tree(self, state: Any, only: Sequence[int] | None = None) -> GrowingTree:
        """A tree of the one board of `state`, which is not over. only: the actions that may be chosen."""
        zero = torch.zeros(1, dtype=torch.int64, device=self.device)
        root = self._dynamics.root(state, game_id=zero, ply=zero)
        most = max(self.memory_mb * 2**20 // node_bytes(self.game, self.agent.config.search.solver) - 1, 1)
        return GrowingTree(root, dynamics=self._dynamics, search=self._search(), most=most, only=only)

    @torch.inference_mode()
    def draw_probability(self, state: Any) -> float:
        """The network's probability of a draw, of the one board of `state`."""
        return float(self.agent.outcomes(self.game.observe(state))[0, 1])

    def names(self, state: Any, actions: Sequence[int], name: Callable[[Any, int], str]) -> list[str]:
        """Names of `actions` that are played one after the other. name: of an action in a state."""
        found = []
        for number, action in enumerate(actions):
            if number:
                state = self.game.step(state, torch.tensor([actions[number - 1]], device=self.device))
            found.append(name(state, action))
        return found

    def _search(self) -> PuctSearch:
        config = self.agent.config.search
        return PuctSearch(
            simulations=0,
            c_init=config.c_init,
            c_base=config.c_base,
            dirichlet_fraction=0.0,
            fpu_reduction=config.fpu_reduction,
            solver=config.solver,
        )


def think(
    tree: GrowingTree,
    budget: Budget,
    *,
    stopped: Callable[[], bool],
    report: Callable[[], None] | None = None,
    every_s: float = 1.0,
) -> Line:
    """Grow a tree until the budget is spent or `stopped`; returns the line of the best move.

    stopped: asked before every simulation. report: called soon and then every `every_s` seconds, less often where it
    takes more than a fifth of the time, and not at the end.
    """
    due = time.monotonic() + min(every_s, _FIRST_S)
    while not stopped() and not budget.spent(tree):
        if tree.full:
            time.sleep(_IDLE_S)  # held: the client ends this search
        else:
            tree.simulate()
        if report is not None and (began := time.monotonic()) >= due:
            report()
            ended = time.monotonic()
            due = max(began + every_s, ended + _LEAST_PAUSE * (ended - began))
    return tree.lines(1)[0]
