"""Grading an agent during training: solved positions, games against fixed opponents, and a game to look at."""

from typing import NamedTuple, Protocol

from agents.alphazero.agent import Agent, make_agent
from agents.alphazero.config import AlphaZeroConfig, EvaluateConfig
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.sample_game import show_game
from agents.arena import positions
from agents.arena.match import match
from agents.arena.minimax import Solution, every_line, solve
from agents.arena.players import AgentPlayer, Player, RandomPlayer
from agents.arena.positions import Positions, Report
from agents.arena.rollout import RolloutPlayer
from agents.games import Game
from lab.errors import UserError
from lab.plots.media import Media, Table
from lab.run.experiment import Evaluation
from lab.train.device import Device


class Graded(NamedTuple):
    """How the network did that had been published after `positions` positions. game: one of its games, as text."""

    positions: int
    evaluation: Evaluation
    game: str


class Evaluator(Protocol):
    """Grades networks, here or elsewhere."""

    def ask(self, positions: int, net: PolicyValueNet) -> None:
        """Begins grading the network as it is now; not if another grading is still running."""
        ...

    @property
    def pending(self) -> int | None:
        """The positions of a grading that has no answer yet."""
        ...

    def answers(self, wait: bool = False) -> list[Graded]:
        """Gradings that have ended since the last call, each once; with `wait` of all that was asked for."""
        ...


class LocalEvaluator:
    """Grades in this process, at once."""

    pending = None

    def __init__(self, config: AlphaZeroConfig, device: Device) -> None:
        self._config, self._device = config, device
        self._grader = Grader(config.game.make(), config.evaluate, config.seed)
        self._answers: list[Graded] = []

    def ask(self, positions: int, net: PolicyValueNet) -> None:
        agent = make_agent("agent", self._config, net, self._device)
        graded = self._grader.grade(agent)
        shown = show_game(agent, self._config.evaluate.simulations)
        evaluation = Evaluation(graded.metrics, [*graded.media, *shown.media()])
        self._answers.append(Graded(positions, evaluation, shown.text))

    def answers(self, wait: bool = False) -> list[Graded]:
        answers, self._answers = self._answers, []
        return answers


class Grader:
    """What one experiment's agents are graded on; solved positions are found once."""

    def __init__(self, game: Game, config: EvaluateConfig, seed: int) -> None:
        self._game, self._config, self._seed = game, config, seed
        self._solution = _solution(game)
        self._positions = self._solved_positions()

    def grade(self, agent: Agent) -> Evaluation:
        """Solved positions and all lines of play where the game has them, then games against each fixed opponent."""
        metrics: dict[str, float] = {}
        media: list[Media] = []
        if self._positions is not None:
            report = positions.grade(agent, self._positions, self._config.simulations)
            metrics |= _report_metrics(report)
            media.append(_by_phase(report))
        if self._solution is not None:
            lines = every_line(agent, self._solution, self._config.simulations)
            metrics["eval/lost_lines"] = float(sum(side.lost for side in lines))
        if self._config.games:
            metrics |= self._games(agent)
        return Evaluation(metrics, media)

    def _solved_positions(self) -> Positions | None:
        if self._solution is not None:
            return self._solution.positions()
        return positions.shipped(self._game) if positions.has_shipped(self._game) else None

    def _games(self, agent: Agent) -> dict[str, float]:
        game, games = self._game, self._config.games
        me = AgentPlayer(agent, self._config.simulations)
        opponents: dict[str, Player] = {
            "eval/score_random": RandomPlayer(game, self._seed),
            "eval/score_rollouts": RolloutPlayer(game, self._config.rollouts, seed=self._seed),
        }
        totals = {
            name: match(game, me, other, games, self._seed, agent.device).total for name, other in opponents.items()
        }
        return {name: total.points / total.games for name, total in totals.items()}


def _solution(game: Game) -> Solution | None:
    """The solution of a game small enough to have one."""
    if positions.has_shipped(game):
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
    }


def _by_phase(report: Report) -> Table:
    searched, alone = report.searched, report.network_alone
    rows = [
        [stage, share, searched.optimal_score.by_phase[stage], alone.optimal_outcome.by_phase[stage]]
        for stage, share in searched.optimal_outcome.by_phase.items()
    ]
    return Table("eval/by_phase", ["plies", "best class", "best score", "network's best class"], rows)
