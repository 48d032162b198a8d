"""Review of a played game by an agent: the loss of every move against the agent's choice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.arena.players import AgentLike, to_device
from agents.games.game import concatenate
from agents.games.played import PlayedGame
from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.plots.figures import Curve, Plot, plot

_TOGETHER = 64  # positions that are searched at once


@dataclass(frozen=True)
class ReviewedMove:
    """One move; all values are expected outcomes in [-1, 1] for the player who makes it.

    ply: from 0. player: 0 or 1. move, best_move: names of the played move and of the agent's choice; best: its action.
    value: of the position after search. after_move, after_best: of the positions that the two moves lead to, each
    searched with as many simulations, or the result where the game is over.
    policy: probability of the played move in the policy after search.
    """

    ply: int
    player: int
    move: str
    best_move: str
    best: int
    value: float
    after_move: float
    after_best: float
    policy: float

    @property
    def loss(self) -> float:
        """Points in [0, 1] that the move gives away against the agent's choice: a win is 1, a draw 1/2."""
        return max(0.0, self.after_best - self.after_move) / 2


@dataclass(frozen=True)
class Review:
    """A game move by move."""

    played: PlayedGame
    moves: Sequence[ReviewedMove]
    simulations: int

    def worst(self, count: int = 5) -> list[ReviewedMove]:
        """The moves with the largest losses, the worst first; of equal ones the earlier."""
        lost = [move for move in self.moves if move.loss > 0]
        return sorted(lost, key=lambda move: (-move.loss, move.ply))[:count]

    def mean_loss(self, player: int) -> float | None:
        """Mean loss of a player's moves in points; None for no moves."""
        losses = [move.loss for move in self.moves if move.player == player]
        return sum(losses) / len(losses) if losses else None

    def graph(self) -> NDArray[np.uint8]:
        """uint8 [H, W, 3]: the first player's expected points after each move, with the worst moves marked."""
        first = [0.5 + (move.after_move if move.player == 0 else -move.after_move) / 2 for move in self.moves]
        plies = [float(move.ply + 1) for move in self.moves]
        worst = sorted(self.worst(), key=lambda move: move.ply)
        sides = self.played.game.player_names
        names = [f"{side} ({name})" if name else side for side, name in zip(sides, self.played.players, strict=True)]
        dots = Curve(
            "worst moves" if worst else "",
            [move.ply + 1.0 for move in worst],
            [first[self.moves.index(move)] for move in worst],
            dots=True,
        )
        shown = Plot(
            curves=[
                Curve(f"{sides[0]}'s expected points", plies, first),
                dots,
                Curve("even", [plies[0], plies[-1]], [0.5, 0.5], dashed=True, colour=5),
            ],
            title=f"{shortened(' - '.join(names), 80)[1:-1]}, {self.simulations} simulations a position",
            whole_x=True,
            x_label="move",
            y_label="expected points",
            y_range=(0.0, 1.0),
        )
        return plot(shown)

    def annotated(self) -> PlayedGame:
        """The game with the agent's values, and its choice where another move was played."""
        played, moves = self.played, self.moves
        comments = [
            "" if move.move == move.best_move else f"best {move.best_move}, loss {move.loss:.1%}" for move in moves
        ]
        return PlayedGame(
            played.game,
            played.start,
            played.actions,
            values=[move.value for move in moves],
            comments=comments,
            players=played.players,
            winner=played.winner,
            ending=played.ending,
            event=played.event,
            date=played.date,
            round=played.round,
        )

    def as_json(self) -> dict[str, Any]:
        """The review as JSON values."""
        rows = [
            {
                "ply": move.ply,
                "player": move.player,
                "move": move.move,
                "best_move": move.best_move,
                "value": move.value,
                "after_move": move.after_move,
                "after_best": move.after_best,
                "policy": move.policy,
                "loss": move.loss,
            }
            for move in self.moves
        ]
        return {
            "simulations": self.simulations,
            "moves": rows,
            "worst": [move.ply for move in self.worst()],
            "mean_loss": [self.mean_loss(0), self.mean_loss(1)],
        }


def review(
    agent: AgentLike, played: PlayedGame, simulations: int, progress: Callable[[int], None] = lambda count: None
) -> Review:
    """Searches every position of a game, and the positions after the agent's choices, with as many simulations each.

    progress: called with the number of positions that were searched. Raises UserError for a game without moves.
    """
    game = played.game
    if not played.actions:
        raise UserError("the game has no moves")
    states = list(played.states())
    values, choices, policies = _decided(agent, states, simulations, progress)
    # The positions after the agent's choices, where it would have played another move.
    others = [ply for ply, action in enumerate(played.actions) if choices[ply] != action]
    after = {ply: game.step(states[ply], torch.tensor([choices[ply]])) for ply in others}
    found, _, _ = _decided(agent, list(after.values()), simulations, progress)
    of_choice = dict(zip(after, found, strict=True))
    moves = []
    for ply, action in enumerate(played.actions):
        state, player = states[ply], int(game.player(states[ply])[0])
        after_move = _for_player(game, states[ply + 1], values[ply + 1], player)
        after_best = _for_player(game, after[ply], of_choice[ply], player) if ply in after else after_move
        best = choices[ply]
        moves.append(
            ReviewedMove(
                ply=ply,
                player=player,
                move=game.move_name(state, action),
                best_move=game.move_name(state, best),
                best=best,
                value=values[ply],
                after_move=after_move,
                after_best=after_best,
                policy=float(policies[ply][action]),
            )
        )
    return Review(played, moves, simulations)


def _decided(
    agent: AgentLike, states: Sequence[Any], simulations: int, progress: Callable[[int], None]
) -> tuple[list[float], list[int], list[Any]]:
    """Values for the players to move, chosen actions and policies [A] of positions; zeros for those that are over."""
    game = agent.game
    values, actions = [0.0] * len(states), [0] * len(states)
    policies: list[Any] = [None] * len(states)
    running = [number for number, state in enumerate(states) if not bool(game.done(state)[0])]
    for start in range(0, len(running), _TOGETHER):
        part = running[start : start + _TOGETHER]
        decision = agent.decide(to_device(concatenate([states[n] for n in part]), agent.device), simulations)
        dense = decision.over_actions(game.num_actions).policy.float().cpu()
        for row, number in enumerate(part):
            values[number], actions[number] = float(decision.value[row]), int(decision.action[row])
            policies[number] = dense[row]
        progress(len(part))
    return values, actions, policies


def _for_player(game: Any, state: Any, value: float, player: int) -> float:
    """The result of a game that is over, else the value, which is for the player to move, as `player` sees it."""
    if bool(game.done(state)[0]):
        return float(game.reward(state)[0, player])
    return value if int(game.player(state)[0]) == player else -value
