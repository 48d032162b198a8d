"""Actors of self-play: they receive versions of the weights and return finished games."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import torch

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet, PolicyValueNet
from agents.alphazero.precision import group_count
from agents.alphazero.records import FinishedGames
from agents.alphazero.search import default_cache_slots, make_dynamics, make_selfplay_search
from agents.alphazero.selfplay import SelfPlay
from agents.games.game import Game
from agents.search import RootSearch
from agents.search.dynamics import LeafCounts, total
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

    On a CPU with several threads the boards are played in as many groups, each in a thread of its own that computes
    alone: the networks of small boards gain little from a second thread within an operation. A game does not depend on
    the groups; which games are played, and when, does, so that a resumed run keeps their number.

    watch: wraps the search of each group, for callers that look at what it finds.
    """

    def __init__(
        self,
        game: Game,
        config: AlphaZeroConfig,
        net: PolicyValueNet,
        device: Device,
        first_game_id: int = 0,
        watch: Callable[[RootSearch], RootSearch] = lambda search: search,
    ) -> None:
        self._game, self._config, self._device = game, config, device
        self._first_game_id, self._watch = first_game_id, watch
        self._moves = config.selfplay.moves_per_iteration
        self._version = 0
        self._inference = InferenceNet(net, precision=device.precision, form=device.form)
        self._seconds = 0.0
        self._of_workers: dict[str, Any] = {}
        self._group(group_count(config.selfplay.boards, device))

    def publish(self, version: int, net: PolicyValueNet) -> None:
        self._version = version
        self._inference.update(net)
        for group in self.groups:
            if group.dynamics.cache is not None:
                group.dynamics.cache.clear()

    def poll(self) -> list[FinishedGames]:
        start = time.perf_counter()
        if self._threads is None:
            played = [self._play(self.groups[0])]
        else:
            played = list(self._threads.map(self._play, self.groups))
        self._seconds += time.perf_counter() - start
        return [games for of_group in played for games in of_group]

    def counts(self) -> LeafCounts:
        return total(group.dynamics.counts for group in self.groups)

    def seconds(self) -> float:
        return self._seconds

    def metrics(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        states = [group.state_dict() for group in self.groups]
        own = {"selfplay": states[0]} if len(states) == 1 else {"groups": states}
        return own | {"counts": self.counts()._asdict()} | self._of_workers

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        # Neither is there where workers have played since the start.
        states = [state["selfplay"]] if "selfplay" in state else state.get("groups", [])
        if states and len(states) != len(self.groups):
            self._group(len(states))
        for group, saved in zip(self.groups, states, strict=bool(states)):
            group.load_state_dict(saved)
        for group in self.groups:
            group.dynamics.counts = LeafCounts()
        self.groups[0].dynamics.counts = LeafCounts.from_state(state["counts"])
        own = ("selfplay", "groups", "counts")
        self._of_workers = {name: part for name, part in state.items() if name not in own}

    def _group(self, count: int) -> None:
        """Begin the games of all boards in this many groups. Raises ValueError for more groups than boards."""
        config, device = self._config, self._device
        boards, recorded = config.selfplay.boards, config.selfplay.recorded_boards
        if not 1 <= count <= boards:
            raise ValueError(f"{boards} boards are not played in {count} groups")
        slots = config.selfplay.cache_slots
        slots = default_cache_slots(self._game) if slots is None else slots
        self.groups: list[SelfPlay] = []
        """The groups of boards."""
        for number in range(count):
            mine = config.selfplay.model_copy(
                update={"boards": _part(boards, count, number), "recorded_boards": _part(recorded, count, number)}
            )
            dynamics = make_dynamics(
                self._game,
                self._inference,
                slots >> (count - 1).bit_length(),  # a power of two
                device.device,
                discount=config.search.discount,
            )
            self.groups.append(
                SelfPlay(
                    self._game,
                    search=self._watch(make_selfplay_search(config, game=self._game, device=device.device)),
                    dynamics=dynamics,
                    config=mine,
                    seed=config.seed,
                    device=device.device,
                    first_game_id=self._first_game_id + number,
                    game_id_stride=count,
                    form=config.record_format,
                )
            )
        self._threads = None
        if count > 1:
            self._threads = ThreadPoolExecutor(count, "self-play", initializer=partial(torch.set_num_threads, 1))

    def _play(self, group: SelfPlay) -> list[FinishedGames]:
        """The moves of a poll."""
        # A checkpoint has no trees, so that they end with the poll; the weights may change after it.
        group.forget_trees()
        played = [group.move(self._version) for _ in range(self._moves)]
        return [games for games in played if games is not None]


def _part(whole: int, count: int, number: int) -> int:
    """Part `number` of `count` nearly equal ones, the first the largest."""
    return whole // count + (number < whole % count)
