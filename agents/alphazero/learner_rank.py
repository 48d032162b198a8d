"""AlphaZero on data-parallel ranks other than 0: only the learner, which computes its rows of each batch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.learner import Learner
from agents.alphazero.records import blank
from lab.train.collectives import ranks
from lab.train.device import Device


class LearnerRank:
    """Takes the same gradient steps as rank 0 on the positions that rank 0 samples (`lab.run.experiment.Follower`)."""

    def __init__(self, config: AlphaZeroConfig, device: Device) -> None:
        game = config.game.make()
        self.learner = Learner(make_network(config, game), game, config.learner, device, config.seed)
        self._positions = blank(config.learner.batch_size, game, config.record_format)

    def iterate(self) -> None:
        steps, received = ranks().broadcast_object(None)
        for _ in range(steps):
            self.learner.step(self._positions, received)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])


def build_follower(config: AlphaZeroConfig, directory: Path, device: Device) -> LearnerRank:
    """The part of the experiment on other ranks; see `lab.config.registry.Kind.follower`."""
    return LearnerRank(config, device)
