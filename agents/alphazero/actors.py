"""The seam between the learner and whoever plays: weights go out by version, finished games come back."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import torch

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet, PolicyValueNet
from agents.alphazero.records import FinishedGames
from agents.alphazero.selfplay import SelfPlay
from agents.games.game import Game
from agents.search import GumbelSearch, PuctSearch
from agents.search.cache import EvaluationCache
from agents.search.dynamics import GameDynamics, LeafCounts


class Actors(Protocol):
    """Plays games with the newest weights it was given."""

    def publish(self, version: int, net: PolicyValueNet) -> None:
        """Plays with these weights (a copy is taken) from the next move on."""
        ...

    def poll(self) -> list[FinishedGames]:
        """Finished games not handed over yet, each exactly once; may wait for some."""
        ...

    def counts(self) -> LeafCounts:
        """Leaves since the start, by what became of them."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Games in flight."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues them."""
        ...


class LocalActors:
    """Self-play in this process: a poll plays `moves_per_iteration` moves on every board.

    Boards are split into groups, each played by a thread of its own: the small operations of one group's trees then run
    beside the network calls of another, which release the interpreter. Each group has its own games (ids modulo the
    number of groups) and its own table of evaluations, so that the outcome does not depend on the threads' timing.
    """

    def __init__(self, game: Game, config: AlphaZeroConfig, net: PolicyValueNet, device: torch.device) -> None:
        options = config.selfplay
        self._moves = options.moves_per_iteration
        self._version = 0
        self._inference = InferenceNet(net, precision=config.precision)
        count = options.groups
        share = options.model_copy(update={"boards": options.boards // count})
        self._dynamics = [make_dynamics(game, self._inference, options.cache_slots, device) for _ in range(count)]
        search = make_search(config, device)
        self._groups = [
            SelfPlay(game, search, dynamics, share, config.seed, device, first_game_id=number, game_id_stride=count)
            for number, dynamics in enumerate(self._dynamics)
        ]
        # A thread's operations use as many cores as are its own; the caller's setting stays as it is.
        own = max(1, torch.get_num_threads() // count)
        self._threads = ThreadPoolExecutor(count, "selfplay", torch.set_num_threads, (own,)) if count > 1 else None

    def publish(self, version: int, net: PolicyValueNet) -> None:
        self._version = version
        self._inference.update(net)
        for dynamics in self._dynamics:
            if dynamics.cache is not None:
                dynamics.cache.clear()

    def poll(self) -> list[FinishedGames]:
        played = self._threads.map(self._play, self._groups) if self._threads else map(self._play, self._groups)
        return [games for group in played for games in group]

    def counts(self) -> LeafCounts:
        return LeafCounts(*map(sum, zip(*(dynamics.counts for dynamics in self._dynamics), strict=True)))

    def state_dict(self) -> dict[str, Any]:
        return {
            "groups": [group.state_dict() for group in self._groups],
            "counts": [dynamics.counts._asdict() for dynamics in self._dynamics],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for group, saved in zip(self._groups, state["groups"], strict=True):
            group.load_state_dict(saved)
        for dynamics, counts in zip(self._dynamics, state["counts"], strict=True):
            dynamics.counts = LeafCounts(**counts)

    def _play(self, group: SelfPlay) -> list[FinishedGames]:
        played = (group.move(self._version) for _ in range(self._moves))
        return [games for games in played if games is not None]


def make_dynamics(game: Game, evaluate: InferenceNet, cache_slots: int, device: torch.device) -> GameDynamics:
    """The game as a search's dynamics; the table of evaluations is for the CPU, where batches may vary in size."""
    cached = cache_slots > 0 and device.type == "cpu"
    cache = EvaluationCache(cache_slots, game.num_actions, device) if cached else None
    return GameDynamics(game, evaluate, cache, static=device.type != "cpu")


def make_search(
    config: AlphaZeroConfig, device: torch.device, simulations: int | None = None, noise: bool = True
) -> GumbelSearch | PuctSearch:
    """The configured search; without noise it plays its best move."""
    options = config.search
    count = simulations or options.simulations
    static = device.type != "cpu"
    if options.algorithm == "gumbel":
        return GumbelSearch(
            count,
            options.considered,
            options.value_scale,
            options.visit_offset,
            options.gumbel_scale if noise else 0.0,
            static,
        )
    return PuctSearch(
        count,
        options.c_init,
        options.c_base,
        options.dirichlet_alpha,
        options.dirichlet_fraction if noise else 0.0,
        options.fpu_reduction,
        static,
    )
