"""Memory of search trees."""

import torch

from agents.games.game import Game
from agents.search.dynamics import history_of
from agents.search.node_states import NodeStates

_EDGE = 4 + 4 + 4 * 4 + 8  # logits and prior, visits, value sum, reward and discount, child
_BOUNDS = 4 + 4  # of an edge, with proofs
_SLOT = 2  # the action of an edge, where slots are fewer than actions
_NODE = 4 + 8  # value, choice
_CPU = torch.device("cpu")


def node_bytes(game: Game, solver: bool = False) -> int:
    """Bytes of one node of a search tree: its edges, its evaluation and its state; solver: with proofs."""
    state = game.initial(1, _CPU)
    stored = NodeStates(state, history_of(game, state), nodes=1).nbytes
    edge = _EDGE + (_SLOT if game.num_slots < game.num_actions else 0) + (_BOUNDS if solver else 0)
    return game.num_slots * edge + _NODE + stored


def tree_bytes(game: Game, boards: int, simulations: int, *, solver: bool = False, reuse: bool = False) -> int:
    """Bytes of the search trees of this many boards; see `agents.search.tree.Tree`.

    reuse: trees keep as many nodes as there are simulations, and exist twice while they are handed on.
    """
    if reuse:
        return 2 * tree_bytes(game, boards, 2 * simulations, solver=solver)
    root = sum(field.nbytes for field in game.initial(1, _CPU))
    return boards * ((simulations + 1) * node_bytes(game, solver) + root)
