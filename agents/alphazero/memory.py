"""Memory of an AlphaZero run: search trees, replay buffer, evaluation cache, unfinished games and the network."""

import torch
from torch import Tensor

from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.move_recorder import move_bytes
from agents.alphazero.records import row_bytes
from agents.alphazero.search import default_cache_slots
from agents.games.game import Game
from agents.search.cache import EvaluationCache
from agents.search.memory import tree_bytes
from lab.run.memory_needs import Need, activations, weights
from lab.train.device import Device

_AT_ONCE = 512  # positions of an evaluation that are searched together


def needs(config: AlphaZeroConfig, game: Game, device: Device) -> list[Need]:
    """The parts of the memory of a run with self-play in this process, or of its learner beside workers."""
    with torch.device("meta"):
        network = make_network(config, game)
        rows = min(config.learner.micro_batch or config.learner.batch_size, config.learner.batch_size)
        observations = torch.zeros(rows, *game.observation_shape)

        def forward() -> Tensor:
            policy, value, others = network.training_outputs(observations)
            return torch.cat([policy, value, *(output.flatten(1) for output in others.values())], dim=1)

        learning = [
            # The EMA, and the copies for self-play and for evaluations.
            weights(network, config.learner, copies=3, reduce_with="network.channels or network.blocks"),
            activations(network, forward, device, reduce_with="learner.micro_batch or learner.batch_size"),
        ]
    kept = min(config.replay.capacity, config.budget)
    replay = Need(
        "the replay buffer",
        kept * row_bytes(game, config.record_format),
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
    slots, default = config.selfplay.cache_slots, default_cache_slots(game)
    slots = default if slots is None else slots
    if config.evaluate.every:
        slots += default
    cached = slots * EvaluationCache.entry_bytes(game.num_slots) if device.device.type == "cpu" else 0
    return [
        *learning,
        replay,
        trees,
        Need("the evaluation cache", cached, "selfplay.cache_slots"),
        Need("the records of unfinished games", _record_bytes(config, game), "selfplay.boards"),
    ]


def _record_bytes(config: AlphaZeroConfig, game: Game) -> int:
    # Outcomes are not kept while a game lasts; who moved takes as much.
    positions = config.selfplay.boards * game.max_plies * row_bytes(game, config.selfplay.record_format)
    recorded = min(config.selfplay.recorded_boards, config.selfplay.boards)
    return positions + recorded * game.max_plies * move_bytes(game)
