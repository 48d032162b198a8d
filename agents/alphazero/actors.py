"""Actors of self-play: they receive versions of the weights and return finished games."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet, PolicyValueNet
from agents.alphazero.records import FinishedGames
from agents.alphazero.search import make_dynamics, make_selfplay_search
from agents.alphazero.selfplay import SelfPlay
from agents.games.game import Game
from agents.search import RootSearch
from agents.search.dynamics import LeafCounts
from lab.train.device import Device


class Actors(Protocol):
    """Self-play with the latest published weights."""

    def publish(self, version: int, net: PolicyValueNet) -> None:
        """Play with a copy of these weights from the next move on."""
        ...

    def poll(self) -> list[FinishedGames]:
        """Finished games, each returned exactly once; may wait for games."""
        ...

    def counts(self) -> LeafCounts:
        """Leaves since the start, by how they were evaluated."""
        ...

    def seconds(self) -> float:
        """Wall time of self-play in this process until the last poll."""
        ...

    def metrics(self) -> dict[str, float]:
        """Metrics of the actors themselves since the last call."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State for exact resuming: unfinished games, or the numbers of results received from workers.

        A loaded state may come from actors of the other kind, local or workers; its part is kept for the next state.
        """
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        ...


class LocalActors:
    """Self-play in this process; each poll plays `moves_per_iteration` moves on every board.

    search: replaces the configured one.
    """

    def __init__(
        self,
        game: Game,
        config: AlphaZeroConfig,
        net: PolicyValueNet,
        device: Device,
        first_game_id: int = 0,
        search: RootSearch | None = None,
    ) -> None:
        self._moves = config.selfplay.moves_per_iteration
        self._version = 0
        self._inference = InferenceNet(net, precision=device.precision, form=device.form)
        self._dynamics = make_dynamics(
            game, self._inference, config.selfplay.cache_slots, device.device, discount=config.search.discount
        )
        self._selfplay = SelfPlay(
            game,
            search=search or make_selfplay_search(config, game=game, device=device.device),
            dynamics=self._dynamics,
            config=config.selfplay,
            seed=config.seed,
            device=device.device,
            first_game_id=first_game_id,
            form=config.record_format,
        )
        self._seconds = 0.0
        self._of_workers: dict[str, Any] = {}

    def publish(self, version: int, net: PolicyValueNet) -> None:
        self._version = version
        self._inference.update(net)
        if self._dynamics.cache is not None:
            self._dynamics.cache.clear()

    def poll(self) -> list[FinishedGames]:
        start = time.perf_counter()
        # A checkpoint has no trees, so that they end with the poll; the weights may change after it.
        self._selfplay.forget_trees()
        played = [self._selfplay.move(self._version) for _ in range(self._moves)]
        self._seconds += time.perf_counter() - start
        return [games for games in played if games is not None]

    def counts(self) -> LeafCounts:
        return self._dynamics.counts

    def seconds(self) -> float:
        return self._seconds

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        own = {"selfplay": self._selfplay.state_dict(), "counts": self._dynamics.counts._asdict()}
        return own | self._of_workers

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "selfplay" in state:  # absent where workers have played since the start
            self._selfplay.load_state_dict(state["selfplay"])
        self._dynamics.counts = LeafCounts.from_state(state["counts"])
        self._of_workers = {name: part for name, part in state.items() if name not in ("selfplay", "counts")}
