"""The program of a worker process: self-play with the weights that it receives."""

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.precision import inference_device
from agents.alphazero.records import FinishedGames, concatenate, flattened, unflattened
from agents.search.dynamics import LeafCounts
from cluster.workers.received_results import Origin, first_game_id
from cluster.workers.set_up import set_up
from cluster.workers.weights import Weights, load
from lab.train.measured_precision import PrecisionChoices


class Played(NamedTuple):
    """The result of a call. games: the arrays of `FinishedGames` (see `flattened`); None when no game ended.

    version: version of the weights. seconds: time that playing took.
    """

    origin: Origin
    version: int
    games: list[NDArray[Any]] | None
    counts: LeafCounts
    seconds: float

    @property
    def bytes(self) -> int:
        return sum(field.nbytes for field in self.games or ())


class SelfPlayWorker:
    """Plays `moves_per_iteration` moves on all its boards per call. Unfinished games are lost with it."""

    def __init__(self, settings: Mapping[str, Any], worker: int, incarnation: int, threads: int, on_gpu: bool) -> None:
        config, self._device = set_up(settings, threads, on_gpu)
        game = config.game.make()
        self._net = make_network(config, game).to(self._device.device)
        # Each for itself: the workers' machines may differ.
        choices = PrecisionChoices(None, self._device)
        self._device = inference_device(choices, self._net, boards=config.selfplay.boards)
        first = first_game_id(worker, incarnation)
        self._actors = LocalActors(game, config, self._net, self._device, first)
        self._next = Origin(worker, incarnation, 0)
        self._version = -1

    def ready(self) -> int:
        """The process's id."""
        return os.getpid()

    def play(self, version: int, weights: Weights) -> Played:
        if version != self._version:
            load(self._net, weights)
            self._actors.publish(version, self._net)
            self._version = version
        before, start = self._actors.counts(), time.perf_counter()
        finished = self._actors.poll()
        counts, seconds = self._actors.counts().since(before), time.perf_counter() - start
        origin, self._next = self._next, self._next._replace(number=self._next.number + 1)
        return Played(origin, version, pack(finished), counts, seconds)


def pack(finished: list[FinishedGames]) -> list[NDArray[Any]] | None:
    """Games as arrays, which Ray shares like weights; None without games."""
    if not finished:
        return None
    return [tensor.numpy() for tensor in flattened(concatenate(finished))]


def unpack(arrays: list[NDArray[Any]]) -> FinishedGames:
    """Games from arrays, copied so that Ray can free its memory."""
    return unflattened([torch.from_numpy(np.array(array)) for array in arrays])
