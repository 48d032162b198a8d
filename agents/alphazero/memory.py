"""Memory of an AlphaZero run: search trees, replay buffer, evaluation cache, unfinished games and the network."""

from typing import Any

import torch
from torch import Tensor

from agents.alphazero.agent import CACHE_SLOTS, make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.records import row_bytes
from agents.games.game import Game
from agents.search.dynamics import history_of
from agents.search.node_states import NodeStates
from lab.run.memory_needs import Need, activations, weights
from lab.train.device import Device

_EDGE = 4 + 4 + 4 * 4 + 8  # logits and prior, visits, value sum, reward and discount, child
_SLOT = 2  # the action of an edge, where slots are fewer than actions
_NODE = 4 + 8  # value, choice
_CPU = torch.device("cpu")
_AT_ONCE = 512  # positions of an evaluation that are searched together


def needs(config: AlphaZeroConfig, game: Game, device: Device) -> list[Need]:
    """The parts of the memory of a run with self-play in this process, or of its learner beside workers."""
    with torch.device("meta"):
        network = make_network(config, game)
        rows = min(config.learner.micro_batch or config.learner.batch_size, config.learner.batch_size)
        observations = torch.zeros(rows, *game.observation_shape)

        def forward() -> Tensor:
            return torch.cat(network(observations), dim=1)

        learning = [
            # The EMA, and the copies for self-play and for evaluations.
            weights(network, config.learner, copies=3, reduce_with="network.channels or network.blocks"),
            activations(network, forward, device, reduce_with="learner.micro_batch or learner.batch_size"),
        ]
    kept = min(config.replay.capacity, config.budget)
    replay = Need(
        "the replay buffer",
        kept * row_bytes(game, states=config.selfplay.record_states),
        "replay.capacity",
        on_device=False,
    )
    evaluated = tree_bytes(game, _AT_ONCE, config.evaluate.simulations) if config.evaluate.every else 0
    searched = 0 if config.cluster.workers else tree_bytes(game, config.selfplay.boards, config.search.simulations)
    if evaluated > searched:
        trees = Need("the search trees of an evaluation", evaluated, "evaluate.simulations")
    else:
        trees = Need("the search trees", searched, "selfplay.boards or search.simulations")
    if config.cluster.workers:
        return [*learning, replay, trees]
    entry = 4 * game.num_slots + 20
    slots = config.selfplay.cache_slots if device.device.type == "cpu" else 0
    if config.evaluate.every and device.device.type == "cpu":
        slots += CACHE_SLOTS
    return [
        *learning,
        replay,
        trees,
        Need("the evaluation cache", slots * entry, "selfplay.cache_slots"),
        Need("the records of unfinished games", _record_bytes(config, game), "selfplay.boards"),
    ]


def tree_bytes(game: Game, boards: int, simulations: int) -> int:
    """Bytes of the search trees of this many boards; see `agents.search.tree.Tree`."""
    return boards * ((simulations + 1) * node_bytes(game) + _bytes(game.initial(1, _CPU)))


def node_bytes(game: Game) -> int:
    """Bytes of one node of a search tree: its edges, its evaluation and its state."""
    state = game.initial(1, _CPU)
    stored = NodeStates(state, history_of(game, state), nodes=1).nbytes
    edge = _EDGE + (_SLOT if game.num_slots < game.num_actions else 0)
    return game.num_slots * edge + _NODE + stored


def _record_bytes(config: AlphaZeroConfig, game: Game) -> int:
    # Outcomes are not kept while a game lasts; who moved takes as much.
    return config.selfplay.boards * game.max_plies * row_bytes(game, states=config.selfplay.record_states)


def _bytes(row: Any) -> int:
    """Bytes of a row of tensors [1, ...]."""
    return sum(field.nbytes for field in row)
