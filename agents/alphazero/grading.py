"""Grading an agent during training: solved positions, and games against fixed opponents."""

from functools import cache

from agents import positions
from agents.alphazero.agent import Agent
from agents.alphazero.config import GradingConfig
from agents.games import Game
from lab.experiment import Evaluation
from lab.media import Media, Table


def grade_agent(agent: Agent, config: GradingConfig, seed: int) -> Evaluation:
    """Solved positions where the game has some, and `config.games` games against each fixed opponent."""
    metrics: dict[str, float] = {}
    media: list[Media] = []
    solved = solved_positions(agent.game)
    if solved is not None:
        report = positions.grade(agent, solved, config.simulations)
        searched, alone = report.searched, report.network_alone
        metrics |= {
            "eval/best_class": searched.best_class.overall or 0.0,
            "eval/best_score": searched.best_score.overall or 0.0,
            "eval/network_best_class": alone.best_class.overall or 0.0,
            "eval/network_best_score": alone.best_score.overall or 0.0,
            "eval/calibration_error": report.calibration.expected_error,
        }
        rows = [
            [stage, searched.best_class.by_stage[stage], searched.best_score.by_stage[stage], alone.best_class.by_stage[stage]]
            for stage in searched.best_class.by_stage
        ]
        media.append(Table("eval/by_stage", ["plies", "best class", "best score", "network best class"], rows))
    return Evaluation(metrics, media)


@cache
def solved_positions(game: Game) -> positions.Positions | None:
    """The shipped positions of 6x7 Connect Four; None for other games."""
    if game.name == "connect_four" and game.options == {"rows": 6, "columns": 7, "length": 4}:
        return positions.shipped(game)
    return None
