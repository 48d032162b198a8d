"""What a rank that does not lead has of AlphaZero: a learner, which computes its share of the leading one's batches."""

from collections.abc import Mapping
from typing import Any

from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.learner import Learner
from agents.alphazero.records import blank
from lab.train.collectives import ranks
from lab.train.device import Device


class LearnerRank:
    """Takes the steps that rank 0 takes, on the positions that it samples (`lab.run.data_parallel.Follower`)."""

    def __init__(self, config: AlphaZeroConfig, device: Device) -> None:
        game = config.game.make()
        self.learner = Learner(make_network(config, game), game, config.learner, device, config.seed)
        self._positions = blank(config.learner.batch_size, game)

    def iterate(self) -> None:
        steps, rate = ranks().broadcast_object(None)
        for _ in range(steps):
            self.learner.step(self._positions, rate)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])
