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
    reanalyses = config.replay.reanalyse_fraction > 0
    with torch.device("meta"):
        network = make_network(config, game)
        rows = min(config.learner.micro_batch or config.learner.batch_size, config.learner.batch_size)
        observations = torch.zeros(rows, *game.observation_shape)

        def forward() -> Tensor:
            policy, value, others = network.training_outputs(observations)
            return torch.cat([policy, value, *(output.flatten(1) for output in others.values())], dim=1)

        learning = [
            # The EMA, and the copies for self-play, for evaluations and for reanalysis.
            weights(network, config.learner, copies=3 + reanalyses, reduce_with="network.channels or network.blocks"),
            activations(network, forward, device, reduce_with="learner.micro_batch or learner.batch_size"),
        ]
    kept = min(config.replay.capacity, config.budget)
    replay = Need(
        "the replay buffer",
        kept * row_bytes(game, config.record_format),
        "replay.capacity",
        on_device=False,
    )
    search = config.search
    evaluated = searched = 0
    if config.evaluate.every:
        evaluated = tree_bytes(game, _AT_ONCE, config.evaluate.simulations, solver=search.solver)
    if reanalyses or not config.cluster.workers:
        how = {"solver": search.solver, "reuse": search.reuse_tree}
        searched = tree_bytes(game, config.selfplay.boards, search.simulations, **how)
    if evaluated > searched:
        trees = Need("the search trees of an evaluation", evaluated, "evaluate.simulations")
    else:
        trees = Need("the search trees", searched, "selfplay.boards or search.simulations")
    if config.cluster.workers:
        return [*learning, replay, trees]
    slots, default = config.selfplay.cache_slots, default_cache_slots(game)
    slots = (default if slots is None else slots) * (1 + reanalyses)
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
    if config.selfplay.surprise_weighting:
        positions += config.selfplay.boards * game.max_plies * 8
    return positions + recorded * game.max_plies * move_bytes(game)
