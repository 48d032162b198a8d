"""Analysis of one position by an agent: policy, value, visit counts and principal variation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.arena.players import AgentLike
from agents.games.moves import Moves, state_after
from lab.config.suggestions import shortened
from lab.errors import UserError

MAX_SIMULATIONS = 100_000
"""Most simulations of one decision."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """An agent's analysis of one position; arrays are over the game's A actions.

    moves: A names of actions; those of legal actions are their names in this position.
    legal: bool `[A]`.
    policy: float32 `[A]`, the policy after search; 0 for illegal actions.
    value: expected outcome in [-1, 1] for the player to move.
    visits: int64 `[A]`, visit counts.
    q: float32 `[A]`, mean return of each action for the player to move; NaN without simulations.
    best_move: the move that the agent plays.
    principal_variation: the moves that the agent expects, its best move first.
    """

    moves: Sequence[str]
    legal: NDArray[np.bool_]
    policy: NDArray[np.float32]
    value: float
    visits: NDArray[np.int64]
    q: NDArray[np.float32]
    best_move: str
    principal_variation: tuple[str, ...]

    def ranking(self) -> list[int]:
        """Legal actions, the best move first, the others by policy."""
        best = self.moves.index(self.best_move)
        return sorted(np.flatnonzero(self.legal).tolist(), key=lambda a: (a != best, -float(self.policy[a])))

    def as_record(self) -> dict[str, Any]:
        """The analysis as JSON values: `policy`, `visits` and `q` by legal move, the best first; NaN is None."""
        ranking = self.ranking()
        q = {self.moves[action]: float(self.q[action]) for action in ranking}
        return {
            "value": self.value,
            "best_move": self.best_move,
            "principal_variation": list(self.principal_variation),
            "policy": {self.moves[action]: float(self.policy[action]) for action in ranking},
            "visits": {self.moves[action]: int(self.visits[action]) for action in ranking},
            "q": {move: None if math.isnan(value) else value for move, value in q.items()},
        }


def analyse(agent: AgentLike, position: Moves | tuple[Any, ...], *, simulations: int, line_plies: int = 8) -> Analysis:
    """Search one position without noise.

    position: moves from the initial position ("443", ["4", "4", "3"]) or a state with B = 1.
    simulations: per decision; 0 is the network alone.
    line_plies: largest length of the principal variation; each ply after the first costs one more search.
    Raises UserError for illegal moves, for several boards, for a game that is over and for other simulations than 0 to
    `MAX_SIMULATIONS`.
    """
    if (
        isinstance(simulations, bool)
        or not isinstance(simulations, Integral)
        or not 0 <= simulations <= MAX_SIMULATIONS
    ):
        raise UserError(f"simulations is a whole number from 0 to {MAX_SIMULATIONS:,}, not {shortened(simulations)}")
    game = agent.game
    # States are NamedTuples of tensors; a tuple of names is a sequence of moves.
    state = position if hasattr(position, "_fields") else state_after(game, position, agent.device)
    if len(game.done(state)) != 1:
        raise UserError(f"analysis takes one board, not {len(game.done(state))}; use `decide` for a batch")
    if game.done(state)[0]:
        raise UserError("the game is over; there is nothing to analyse")
    legal = game.legal(state)[0]
    decision = agent.decide(state, simulations)
    names = list(game.action_names)
    for number in legal.nonzero()[:, 0].tolist():
        names[number] = game.move_name(state, number)
    dense = decision.over_actions(game.num_actions)
    line, action = [names[int(decision.action[0])]], decision.action
    while len(line) < line_plies:
        state = game.step(state, action)
        if game.done(state)[0]:
            break
        action = agent.decide(state, simulations).action
        line.append(game.move_name(state, int(action[0])))
    return Analysis(
        moves=tuple(names),
        legal=legal.cpu().numpy(),
        policy=dense.policy[0].float().cpu().numpy(),
        value=float(decision.value[0]),
        visits=dense.visits[0].long().cpu().numpy(),
        q=dense.q[0].float().cpu().numpy(),
        best_move=line[0],
        principal_variation=tuple(line[:line_plies]),
    )
