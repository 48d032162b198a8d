"""AlphaZero in one file: collect games, make targets, optimise, log.

The rules, the search, the network and the solver are parts of the lab; the algorithm is all here. It learns tic-tac-toe
in about half a minute on one CPU core and then keeps the minimax outcome in about 99% of all positions:

    python examples/alphazero.py
    python examples/alphazero.py --game connect_four --iterations 200   # without a score: too large to solve
"""

import argparse
import time
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from agents import games
from agents.alphazero.network import DRAW, LOSS, WIN, InferenceNet, PolicyValueNet
from agents.alphazero.selfplay import random_opening
from agents.arena.minimax import Solution, solve
from agents.games import Game, select
from agents.search import GumbelSearch
from agents.search.dynamics import GameDynamics
from lab.errors import UserError

CPU = torch.device("cpu")
OPENING_PLIES = 6


class Samples(NamedTuple):
    """N positions. observation: [N, C, H, W], policy: [N, A] from the search, outcome: int64 [N], a class."""

    observation: Tensor
    policy: Tensor
    outcome: Tensor


def collect(game: Game, evaluate: InferenceNet, *, boards: int, simulations: int, seed: int) -> Samples:
    """Self-play on all boards at once, with one search per move; a few random plies first give variety."""
    search = GumbelSearch(simulations=simulations)
    dynamics = GameDynamics(game, evaluate)
    board = torch.arange(boards)
    state, _ = random_opening(game, board, seed, OPENING_PLIES)
    reward = torch.zeros(boards, 2)
    moves = []
    while len(board):
        root = dynamics.root(state, game_id=board, ply=game.plies(state))
        result = search(root, dynamics=dynamics, seed=seed)
        policy = result.over_actions(game.num_actions).policy
        moves.append((board, game.player(state), game.observe(state), policy))
        state = game.step(state, result.action)
        ended = game.done(state)
        reward[board[ended]] = game.reward(state)[ended]
        running = (~ended).nonzero()[:, 0]
        state, board = select(state, running), board[running]
    return make_targets(moves, reward)


def make_targets(moves: list[tuple[Tensor, Tensor, Tensor, Tensor]], reward: Tensor) -> Samples:
    """The policy of the search, and the outcome of the game for the player to move."""
    board, player, observation, policy = (torch.cat(column) for column in zip(*moves, strict=True))
    result = reward[board].gather(1, player[:, None])[:, 0]
    outcome = torch.where(result > 0, WIN, torch.where(result < 0, LOSS, DRAW))
    return Samples(observation, policy, outcome)


def turned(samples: Samples, game: Game, generator: torch.Generator) -> Samples:
    """Every position under a random symmetry of the board: more data for nothing."""
    tables = game.symmetries(CPU)
    which = torch.randint(len(tables.actions), (len(samples.outcome),), generator=generator)
    flat = samples.observation.flatten(1).gather(1, tables.planes[which])
    return Samples(flat.view_as(samples.observation), samples.policy.gather(1, tables.actions[which]), samples.outcome)


def optimise(net: PolicyValueNet, optimizer: torch.optim.Optimizer, batch: Samples) -> tuple[float, float]:
    """One gradient step; returns the losses of policy and value."""
    net.train()
    logits, outcome_logits = net(batch.observation)
    policy_loss = F.cross_entropy(logits, batch.policy)
    value_loss = F.cross_entropy(outcome_logits, batch.outcome)
    optimizer.zero_grad()
    (policy_loss + value_loss).backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimizer.step()
    return policy_loss.item(), value_loss.item()


@torch.inference_mode()
def score(game: Game, evaluate: InferenceNet, solution: Solution, simulations: int) -> float:
    """Optimal-outcome rate: share of all positions in which the move keeps the game-theoretic outcome."""
    positions = solution.positions()
    dynamics = GameDynamics(game, evaluate)
    number = torch.arange(len(positions))
    root = dynamics.root(positions.states, game_id=number, ply=game.plies(positions.states))
    search = GumbelSearch(simulations=simulations, gumbel_scale=0.0)  # no noise: the best move
    action = search(root, dynamics=dynamics, seed=0).action
    chosen = positions.scores.gather(1, action[:, None])[:, 0]
    return float((chosen.sign() == positions.scores.amax(1).sign()).float().mean())


def train(game: Game, *, iterations: int, boards: int, simulations: int, reuse: int, window: int, seed: int) -> float:
    """The loop: collect, target, optimise, log. Returns the last score, NaN for a game too large to solve."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = PolicyValueNet(game.observation_shape, game.num_actions, channels=32, blocks=2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    evaluate = InferenceNet(net)
    try:
        solution = solve(game)
    except UserError:
        solution = None
    replay: list[Samples] = []
    start, batch_size, result = time.monotonic(), 256, float("nan")
    for iteration in range(1, iterations + 1):
        net.eval()
        evaluate.update(net)
        new = collect(game, evaluate, boards=boards, simulations=simulations, seed=seed + iteration)
        replay = [*replay, new][-window:]
        data = Samples(*(torch.cat(column) for column in zip(*replay, strict=True)))
        for _ in range(max(1, reuse * len(new.outcome) // batch_size)):
            rows = torch.randint(len(data.outcome), (batch_size,), generator=generator)
            batch = turned(Samples(*(column[rows] for column in data)), game, generator)
            policy_loss, value_loss = optimise(net, optimizer, batch)
        schedule.step()
        seconds = time.monotonic() - start
        line = f"iteration {iteration:3}  {seconds:5.1f} s  policy {policy_loss:.3f}  value {value_loss:.3f}"
        if solution is not None and (iteration % 10 == 0 or iteration == iterations):
            net.eval()
            evaluate.update(net)
            result = score(game, evaluate, solution, simulations)
            line += f"  keeps the minimax outcome in {result:.1%} of {len(solution.positions()):,} positions"
        print(line, flush=True)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--game", default="tic_tac_toe", choices=sorted(games.GAMES))
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--boards", type=int, default=128)
    parser.add_argument("--simulations", type=int, default=16)
    parser.add_argument("--reuse", type=int, default=4, help="gradient steps see every position so often")
    parser.add_argument("--window", type=int, default=20, help="iterations that the replay buffer holds")
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    train(games.make(options.pop("game")), **options)
