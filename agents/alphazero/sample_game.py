"""Sample game of an agent against itself, as text and as a heat map of its policies."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.alphazero.agent import Agent
from lab.plots.media import Image, Media, Text

_CELL_PX = 16


class SampleGame(NamedTuple):
    """One game from the empty board, without noise. text: moves, values and the last board.

    policies: float32 [plies, A], the searched policy at each ply.
    """

    text: str
    policies: NDArray[np.float32]

    def media(self) -> list[Media]:
        """The game as text, and its policies as a heat map with a row per ply and a column per action."""
        return [Text("eval/game", self.text), Image("eval/policy", heat_map(self.policies), "ply by action")]


def play_sample_game(agent: Agent, simulations: int) -> SampleGame:
    """Plays both sides with `simulations` per move."""
    game = agent.game
    state = game.initial(1, agent.device)
    lines, policies = [f"{'ply':>3}  {'move':>4}  {'value':>6}  for the side to move"], []
    while not bool(game.done(state)[0]):
        result = agent.decide(state, simulations)
        move = game.action_names[int(result.action[0])]
        lines.append(f"{len(lines):>3}  {move:>4}  {float(result.value[0]):>+6.2f}")
        policies.append(result.policy[0].cpu().numpy())
        state = game.step(state, result.action)
    winner = {1.0: "X wins", 0.0: "a draw", -1.0: "O wins"}[float(game.reward(state)[0, 0])]
    text = "\n".join([*lines, "", game.render(state, 0), winner, ""])
    return SampleGame(text, np.stack(policies))


def heat_map(policies: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float32 [R, C] in [0, 1] -> uint8 [R * 16, C * 16, 1], 1 is white.

    The square root keeps small probabilities visible.
    """
    grey = (np.sqrt(np.clip(policies, 0.0, 1.0)) * 255).astype(np.uint8)
    return np.kron(grey, np.ones((_CELL_PX, _CELL_PX), dtype=np.uint8))[:, :, None]
