"""Exact solutions of small games by minimax, and every line of play against a fixed policy."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.arena.players import AgentLike, to_device
from agents.arena.positions import CPU, Positions
from agents.games.game import Game, concatenate, select
from lab.errors import UserError

MAX_POSITIONS = 10_000  # of a game that is solved, also for evaluations during training
_EDGES_PER_POSITION = 10  # moves from the positions of one ply, over `limit`, above which a game is too large


@dataclass(frozen=True)
class Solution:
    """All N reachable positions of a game, finished ones included, in order of plies; position 0 is the start.

    states: N boards. levels: number of positions at each ply. children: int64 [N, A], the number of the position after
    each move, -1 where illegal. score: int64 [N], exact, for the side to move: positive wins, and a larger score wins
    sooner, in the usual units of Connect Four (one more than half the plies left after the winning move, rounded
    down).
    """

    game: Game
    states: Any
    levels: list[int]
    children: Tensor
    score: Tensor

    def positions(self) -> Positions:
        """The running positions with the exact score of each move."""
        running = (~self.game.done(self.states)).nonzero()[:, 0]
        children = self.children[running]
        scores = torch.where(children >= 0, -self.score[children.clamp_min(0)], Positions.ILLEGAL)
        return Positions(self.game, select(self.states, running), scores)


class LineCounts(NamedTuple):
    """Numbers of lines of play that the policy wins, draws and loses against every sequence of replies."""

    won: int
    drawn: int
    lost: int


def solve(game: Game, limit: int = MAX_POSITIONS) -> Solution:
    """Enumerate the positions of a game by plies and solve it backwards.

    Raises UserError when it has more than `limit` positions.
    """
    too_many = UserError(f"{game.name} {game.options} has more than {limit:,} positions; too many to solve")
    start = game.initial(1, CPU)
    levels, all_children = [start], []
    total = 1
    while True:
        legal = game.legal(levels[-1])
        if int(legal.sum()) > _EDGES_PER_POSITION * limit:
            raise too_many  # before boards of so many successors are made
        successors, children = _next_level(game, levels[-1], legal, total)
        all_children.append(children)
        if successors is None:
            break
        levels.append(successors)
        total += len(game.done(successors))
        if total > limit:
            raise too_many
    states, children = concatenate(levels), torch.cat(all_children)
    sizes = [len(c) for c in all_children]
    return Solution(game, states, sizes, children, _score(game, states, children, sizes))


def play_every_line(agent: AgentLike, solution: Solution, *, simulations: int, chunk: int = 512) -> list[LineCounts]:
    """Results of the agent as first and as second player against every sequence of replies.

    It decides once in each position, `chunk` boards at a time.
    """
    running = (~solution.game.done(solution.states)).nonzero()[:, 0]
    action = torch.zeros(len(solution.score), dtype=torch.int64, device=running.device)
    for rows in running.split(chunk):
        states = to_device(select(solution.states, rows), agent.device)
        action[rows] = agent.decide(states, simulations).action.to(running.device)
    return [count_lines(solution, action, side) for side in (0, 1)]


def count_lines(solution: Solution, action: Tensor, side: int) -> LineCounts:
    """Play a policy as `side` (0 moves first) against every sequence of replies.

    action: int64 [N], the policy's move in each position of the solution; ignored where the game is over.
    """
    game, children = solution.game, solution.children
    count = torch.zeros(len(children), dtype=torch.int64, device=children.device)
    count[0] = 1
    own = game.player(solution.states) == side
    chosen = torch.nn.functional.one_hot(action, children.shape[1]).bool()
    followed = (children >= 0) & (chosen | ~own[:, None])
    first = 0
    for size in solution.levels:
        level = slice(first, first + size)
        edges = followed[level]
        ways = count[level, None].expand_as(edges)[edges]
        count.index_add_(0, children[level][edges], ways)
        first += size
    done = game.done(solution.states)
    reward = game.reward(solution.states)[:, side]
    won, drawn, lost = (int(count[done & (reward == r)].sum()) for r in (1, 0, -1))
    return LineCounts(won, drawn, lost)


def successors(game: Game, states: Any, legal: Tensor) -> tuple[Any | None, Tensor, Tensor, Tensor]:
    """The different positions one ply after N positions, None if there are none, and the E moves that lead to them.

    legal: bool [N, A], of the positions. Returns the positions and, int64 [E] each, the number of the position before
    each move, the action, and the number of the position after it.
    """
    parent, action = legal.nonzero(as_tuple=True)
    if not len(parent):
        return None, parent, action, action
    reached = game.step(select(states, parent), action)
    different, number = torch.unique(game.key(reached), return_inverse=True)
    first = torch.full_like(different, len(parent))
    first.scatter_reduce_(0, number, torch.arange(len(parent), device=legal.device), "amin")
    return select(reached, first), parent, action, number


def _next_level(game: Game, states: Any, legal: Tensor, offset: int) -> tuple[Any | None, Tensor]:
    """The successors of one ply's positions, numbered from `offset`, and the table of children int64 [N, A]."""
    children = torch.full(legal.shape, -1, dtype=torch.int64, device=legal.device)
    reached, parent, action, number = successors(game, states, legal)
    children[parent, action] = offset + number
    return reached, children


def _score(game: Game, states: Any, children: Tensor, sizes: list[int]) -> Tensor:
    reward = game.reward(states).gather(1, game.player(states)[:, None])[:, 0]
    plies = torch.repeat_interleave(torch.tensor(sizes, device=children.device))
    score = reward.to(torch.int64) * (1 + (game.max_plies - plies) // 2)
    running = (children >= 0).any(1)
    end = len(children)
    for size in reversed(sizes):
        level = slice(end - size, end)
        after = -score[children[level].clamp_min(0)]
        best = torch.where(children[level] >= 0, after, Positions.ILLEGAL).amax(1)
        score[level] = torch.where(running[level], best, score[level])
        end -= size
    return score
