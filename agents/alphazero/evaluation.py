"""Evaluation during training: solved positions, games against fixed opponents, and a sample game."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from agents.alphazero.agent import Agent, make_agent, make_network
from agents.alphazero.config import AlphaZeroConfig, EvaluateConfig
from agents.alphazero.learner import load_weights
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.precision import SELF_PLAY
from agents.alphazero.sample_game import play_sample_game
from agents.arena.match import match
from agents.arena.minimax import Solution, play_every_line, solve
from agents.arena.players import AgentPlayer, Player, RandomPlayer
from agents.arena.position_evaluation import Report, evaluate_positions
from agents.arena.positions import Positions
from agents.arena.rollout import RolloutPlayer
from agents.arena.shipped import SETS, has_shipped, shipped
from agents.games import Game
from agents.games.game_files import games_text, suffix_of
from lab.errors import UserError
from lab.plots.media import Media, Table
from lab.run.evaluator import EvaluateState
from lab.run.experiment import Evaluation
from lab.train.device import Device
from lab.train.measured_precision import kept_choice


class NetworkEvaluator:
    """Evaluates networks, and writes one game of each to the run's `games/`, as text and as a record."""

    def __init__(self, config: AlphaZeroConfig, directory: Path, device: Device) -> None:
        self._config, self._games, self._device = config, directory / "games", device

    @cached_property
    def _agent_evaluator(self) -> AgentEvaluator:
        # Created when needed: solving the game is slow, and a run with a separate evaluator does not need it.
        return AgentEvaluator(self._config.game.make(), self._config.evaluate, self._config.seed)

    def evaluate(self, net: PolicyValueNet, positions: int) -> Evaluation:
        """Evaluate the network published after this number of positions."""
        agent = make_agent("agent", self._config, net, self._device)
        result = self._agent_evaluator.evaluate(agent)
        sample = play_sample_game(agent, self._config.evaluate.simulations)
        self._games.mkdir(exist_ok=True)
        record = replace(sample.played(), event=f"sample game after {positions:,} positions")
        texts = {".txt": sample.text, suffix_of(sample.game): games_text([record])}
        for suffix, text in texts.items():
            (self._games / f"{positions:010d}{suffix}").write_text(text, encoding="utf-8")
        metrics = {**result.metrics, "eval/first_reward": sample.first_reward}
        return Evaluation(metrics, [*result.media, *sample.media()])


def state_evaluator(config: AlphaZeroConfig, directory: Path, device: Device) -> EvaluateState:
    """Evaluation of checkpoints; see `lab.config.registry.Kind.evaluator`."""
    net = make_network(config, config.game.make()).to(device.device)
    evaluator = NetworkEvaluator(config, directory, kept_choice(directory, SELF_PLAY, device))

    def evaluate(state: Mapping[str, Any], counters: Mapping[str, int]) -> Evaluation:
        load_weights(net, state, "learner", "average", "module")
        return evaluator.evaluate(net, counters["positions"])

    return evaluate


class AgentEvaluator:
    """Evaluates the agents of one experiment; the game is solved once."""

    def __init__(self, game: Game, config: EvaluateConfig, seed: int) -> None:
        self._game, self._config, self._seed = game, config, seed
        self._solution = _solution(game)
        self._positions = self._solved_positions()

    def evaluate(self, agent: Agent) -> Evaluation:
        """Solved positions and all lines of play where the game has them, then games against each fixed opponent."""
        metrics: dict[str, float] = {}
        media: list[Media] = []
        if self._positions is not None:
            report = evaluate_positions(agent, self._positions, simulations=self._config.simulations)
            metrics |= _report_metrics(report)
            media.append(_by_phase(report))
        if self._solution is not None:
            lines = play_every_line(agent, self._solution, simulations=self._config.simulations)
            metrics["eval/lost_lines"] = float(sum(side.lost for side in lines))
        if self._config.games:
            metrics |= self._games(agent)
        return Evaluation(metrics, media)

    def _solved_positions(self) -> Positions | None:
        if self._solution is not None:
            return self._solution.positions()
        return shipped(self._game) if has_shipped(self._game) else None

    def _games(self, agent: Agent) -> dict[str, float]:
        game, games = self._game, self._config.games
        player = AgentPlayer(agent, self._config.simulations)
        opponents: dict[str, Player] = {
            "eval/score_random": RandomPlayer(game, self._seed),
            "eval/score_rollouts": RolloutPlayer(game, self._config.rollouts, seed=self._seed),
        }
        totals = {
            name: match(game, player, opponent, games=games, seed=self._seed, device=agent.device).total
            for name, opponent in opponents.items()
        }
        return {name: total.points / total.games for name, total in totals.items()}


def _solution(game: Game) -> Solution | None:
    """The solution of a game; None if it is too large."""
    if has_shipped(game):
        return None
    try:
        return solve(game)
    except UserError:
        return None


def _report_metrics(report: Report) -> dict[str, float]:
    searched, alone = report.searched, report.network_alone
    return {
        "eval/optimal_outcome": searched.optimal_outcome.overall or 0.0,
        "eval/optimal_score": searched.optimal_score.overall or 0.0,
        "eval/network_optimal_outcome": alone.optimal_outcome.overall or 0.0,
        "eval/network_optimal_score": alone.optimal_score.overall or 0.0,
        "eval/calibration_error": report.calibration.expected_error,
        "eval/value_error": report.calibration.mean_error,
    } | {
        f"eval/{name}": rate
        for name, rate in searched.optimal_outcome.by_set.items()
        if name in SETS and rate is not None
    }


def _by_phase(report: Report) -> Table:
    searched, alone = report.searched, report.network_alone
    rows = [
        [phase, rate, searched.optimal_score.by_phase[phase], alone.optimal_outcome.by_phase[phase]]
        for phase, rate in searched.optimal_outcome.by_phase.items()
    ]
    return Table("eval/by_phase", ["plies", "optimal outcome", "optimal score", "network's optimal outcome"], rows)
