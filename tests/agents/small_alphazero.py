"""AlphaZero on tic-tac-toe, small enough to train in a blink, and a network that is a plain hash of the position."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.records import FinishedGames, RecordFormat
from agents.alphazero.selfplay import SelfPlay
from agents.alphazero.selfplay_config import SelfPlayConfig
from agents.games.game import Game
from agents.search import GumbelSearch, Search
from agents.search.cache import EvaluationCache
from agents.search.dynamics import GameDynamics
from lab import rng
from lab.config.loading import dump
from lab.config.presets import merge
from lab.train.device import Device

CPU = torch.device("cpu")
DEVICE = Device(CPU, "fp32", 1)


def config(**changes: Any) -> AlphaZeroConfig:
    """About 15 iterations of 8 boards, without evaluation, checkpoints every 3; changes merge into sections."""
    settings: dict[str, Any] = {
        "kind": "alphazero",
        "budget": 400,
        "threads": 1,
        "game": {"name": "tic_tac_toe"},
        "network": {"channels": 8, "blocks": 1, "value_hidden": 8},
        # Averaged over its symmetries a network ties where a board is symmetric, and rounding decides.
        "search": {"simulations": 4, "max_considered_actions": 4, "average_symmetries": False},
        "selfplay": {"boards": 8, "moves_per_iteration": 4, "opening_plies": 2, "cache_slots": 256},
        "replay": {"capacity": 1000, "window_start": 100, "min_positions": 40},
        "learner": {"batch_size": 16, "replay_ratio": 2, "warmup_steps": 5},
        "checkpoint": {"every": 3},
        "evaluate": {"every": 0},
        "tracking": {"wandb": "off"},
    }
    return AlphaZeroConfig.model_validate(merge(settings, changes))


def preset(folder: Path, **changes: Any) -> Path:
    """`config` as a preset file."""
    path = folder / "small.yaml"
    path.write_text(dump(config(**changes)))
    return path


def hashed(num_actions: int) -> Any:
    """An evaluator whose answers depend on the one position alone, to the last bit, whatever its batch."""

    def evaluate(observation: Tensor) -> tuple[Tensor, Tensor]:
        bits = observation.flatten(1).to(torch.int64)
        key = (bits * rng.random_bits(5, torch.arange(bits.shape[1]))).sum(1)
        logits = rng.uniform(6, key[:, None], torch.arange(num_actions)) * 4.0
        return logits, rng.uniform(7, key) * 2.0 - 1.0

    return evaluate


def selfplay(
    game: Game,
    boards: int = 16,
    seed: int = 3,
    first_game_id: int = 0,
    stride: int = 1,
    search: Search | None = None,
    cache_slots: int = 0,
    form: RecordFormat | None = None,
    **settings: Any,
) -> SelfPlay:
    """Self-play of `hashed` networks."""
    cache = EvaluationCache(cache_slots, game.num_actions, CPU) if cache_slots else None
    dynamics = GameDynamics(game, hashed(game.num_actions), cache=cache)
    options = SelfPlayConfig(boards=boards, **settings)
    search = search or GumbelSearch(simulations=8, max_considered_actions=4)
    return SelfPlay(
        game,
        search=search,
        dynamics=dynamics,
        config=options,
        seed=seed,
        device=CPU,
        first_game_id=first_game_id,
        game_id_stride=stride,
        form=form,
    )


def play_games(player: SelfPlay, moves: int, version: int = 0) -> list[FinishedGames]:
    """The games that end within so many moves of every board."""
    played = [player.move(version) for _ in range(moves)]
    return [games for games in played if games is not None]
