"""The configured search and its dynamics, composed for a game and a device."""

from dataclasses import replace
from functools import partial

import torch

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.playout_cap import CappedSearch
from agents.alphazero.search_config import SearchConfig
from agents.games.game import Game
from agents.search import GumbelSearch, PuctSearch, RootSearch, Search
from agents.search.cache import Evaluate, EvaluationCache
from agents.search.dynamics import GameDynamics
from agents.search.reuse import TreeReuse
from agents.search.simulation import Descend, descend_fixed_length, descend_to_leaves
from lab.errors import UserError

_CACHE_BYTES = 2**26
_MOST_CACHED = 2**18  # about twice what 256 boards evaluate in 16 moves of 32 simulations, with the same weights


def make_search(
    config: SearchConfig,
    *,
    game: Game,
    device: torch.device,
    simulations: int | None = None,
    noise: bool = True,
    lcb_stdevs: float = 0.0,
) -> Search:
    """The configured search.

    simulations: replaces the configured number. noise: with False the root noise is 0.
    lcb_stdevs: as in `agents.search.lcb`; 0 for the search's own choice of the move.
    """
    on_cpu = device.type == "cpu"
    descend: Descend = descend_to_leaves if on_cpu else partial(descend_fixed_length, max_depth=game.max_plies)
    count = config.simulations if simulations is None else simulations
    if config.algorithm == "gumbel":
        return GumbelSearch(
            simulations=count,
            max_considered_actions=config.max_considered_actions,
            value_scale=config.value_scale,
            visit_offset=config.visit_offset,
            gumbel_scale=config.gumbel_scale if noise else 0.0,
            solver=config.solver,
            lcb_stdevs=lcb_stdevs,
            descend=descend,
        )
    return PuctSearch(
        simulations=count,
        c_init=config.c_init,
        c_base=config.c_base,
        dirichlet_alpha=config.dirichlet_alpha,
        dirichlet_fraction=config.dirichlet_fraction if noise else 0.0,
        fpu_reduction=config.fpu_reduction,
        forced_playouts=config.forced_playouts if noise else 0.0,
        solver=config.solver,
        lcb_stdevs=lcb_stdevs,
        descend=descend,
    )


def make_selfplay_search(config: AlphaZeroConfig, *, game: Game, device: torch.device) -> RootSearch:
    """The search of self-play: the configured one, or with cheap moves among full ones, or with tree reuse.

    Raises UserError for cheap moves on a device that needs fixed shapes.
    """
    settings = config.selfplay
    full = make_search(config.search, game=game, device=device)
    if config.search.reuse_tree:
        return TreeReuse(full)
    if settings.full_search_fraction == 1.0:
        return full
    if device.type != "cpu":
        raise UserError(
            f"selfplay.full_search_fraction {settings.full_search_fraction:g} searches batches of varying size, and "
            f"self-play on {device.type} needs fixed shapes; set it to 1, or device=cpu"
        )
    cheap = make_search(config.search, game=game, device=device, simulations=settings.cheap_simulations, noise=False)
    if isinstance(cheap, GumbelSearch):  # its noise is the randomness of the moves, which the temperature scales
        cheap = replace(cheap, gumbel_scale=config.search.gumbel_scale)
    return CappedSearch(
        full=full,
        cheap=cheap,
        fraction=settings.full_search_fraction,
        cheap_temperature=settings.cheap_temperature,
    )


def default_cache_slots(game: Game) -> int:
    """Entries of an evaluation cache: the largest power of two that takes at most 64 MiB, and at most 2**18."""
    most = _CACHE_BYTES // EvaluationCache.entry_bytes(game.num_slots)
    return min(1 << most.bit_length() - 1, _MOST_CACHED)


def make_dynamics(
    game: Game, evaluate: Evaluate, cache_slots: int | None, device: torch.device, *, discount: float = 1.0
) -> GameDynamics:
    """The rules of a game, with `evaluate` at the leaves.

    cache_slots: 0 for none, None for `default_cache_slots`. The evaluation cache is for the CPU, where batches may vary
    in size; a GPU needs fixed shapes.
    """
    on_cpu = device.type == "cpu"
    slots = default_cache_slots(game) if cache_slots is None else cache_slots
    cache = EvaluationCache(slots, game.num_slots, device) if on_cpu and slots > 0 else None
    return GameDynamics(game, evaluate, cache=cache, fixed_shapes=not on_cpu, discount=discount)
