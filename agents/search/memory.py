"""Memory of search trees."""

import torch

from agents.games.game import Game
from agents.search.dynamics import history_of
from agents.search.node_states import NodeStates

_EDGE = 4 + 4 + 4 * 4 + 8  # logits and prior, visits, value sum, reward and discount, child
_SLOT = 2  # the action of an edge, where slots are fewer than actions
_NODE = 4 + 8  # value, choice
_CPU = torch.device("cpu")


def node_bytes(game: Game) -> int:
    """Bytes of one node of a search tree: its edges, its evaluation and its state."""
    state = game.initial(1, _CPU)
    stored = NodeStates(state, history_of(game, state), nodes=1).nbytes
    edge = _EDGE + (_SLOT if game.num_slots < game.num_actions else 0)
    return game.num_slots * edge + _NODE + stored


def tree_bytes(game: Game, boards: int, simulations: int) -> int:
    """Bytes of the search trees of this many boards; see `agents.search.tree.Tree`."""
    root = sum(field.nbytes for field in game.initial(1, _CPU))
    return boards * ((simulations + 1) * node_bytes(game) + root)
