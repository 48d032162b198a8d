"""Proven wins, losses and draws in search trees: MCTS-Solver (Winands et al. 2008) with bounds (Cazenave and Saffidine
2010).

Each edge has a lower and an upper bound of its value for the player who moves. They start at -1 and 1, are the reward
where the game ends, and follow from the bounds of the child's edges above: the best lower bound of any move is that of
the node, and the best upper bound of any. A node is proven where it is won (lower bound above 0), lost (upper bound
below 0) or both bounds are equal, a draw. All that is needed of the players is the sign of each edge's discount:
negative where the other player moves next, positive where the same does.

The edge to a proven node is closed: it has the proven value as its reward and is followed no more, like the edge to a
finished game. Simulations through it need no evaluation, and its mean return is the proven value from then on.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from agents.search.tree import NodeStats, Tree

_CLOSED = -3  # of node 0; below tree.ENDED


class Bounds(NamedTuple):
    """Bounds of the values of the slots of R nodes, float32 `[R, K]`, for the player to move."""

    lower: Tensor
    upper: Tensor

    def of_nodes(self, legal: Tensor) -> tuple[Tensor, Tensor]:
        """float32 `[R, 1]` each: the bounds of the nodes; legal: bool `[R, K]`."""
        lower, upper = (torch.where(legal, bound, -1.0).amax(-1, keepdim=True) for bound in self)
        return lower, upper


@dataclass(frozen=True)
class Proofs:
    """Bounds of all edges of B trees in the order of `agents.search.tree`, float32 `[M * B * K]`, written in place."""

    lower: Tensor
    upper: Tensor

    @classmethod
    def unknown(cls, like: Tensor) -> "Proofs":
        """Bounds -1 and 1 of as many edges as the tensor has."""
        return cls(torch.full_like(like, -1.0), torch.ones_like(like))

    def extended(self, edges: int) -> "Proofs":
        """The same with room for this many edges."""
        longer = self.unknown(self.lower.new_empty(edges))
        longer.lower[: len(self.lower)] = self.lower
        longer.upper[: len(self.upper)] = self.upper
        return longer

    def bounds(self, nodes: Tensor | slice, slots: int) -> Bounds:
        """Bounds of nodes, a slice or int64 `[R]`, of K = `slots` slots."""
        return Bounds(self.lower.view(-1, slots)[nodes], self.upper.view(-1, slots)[nodes])

    def propagate(self, tree: "Tree", path: Tensor) -> None:
        """Draw conclusions from the last edges of the paths int64 `[depth, B]`, before their returns are backed up.

        The value sums of an edge that is closed become its visits times the proven value.
        """
        slots, last = tree.slots, path[-1]
        lower, upper = self.lower.index_select(0, last), self.upper.index_select(0, last)
        ended = tree.child.index_select(0, last) < -1
        changed = ended & (lower != upper)
        reward = tree.reward.index_select(0, last)
        self.lower[last] = torch.where(changed, reward, lower)
        self.upper[last] = torch.where(changed, reward, upper)
        on_cpu = path.device.type == "cpu"
        for depth in range(path.shape[0] - 1, 0, -1):
            if on_cpu and not bool(changed.any()):
                return
            edge, below = path[depth - 1], path[depth]
            # A row that has reached its leaf repeats the last edge; its turn comes further up.
            counted = edge != below
            changed = torch.where(
                counted, changed & self._conclude(tree, edge, below // slots, changed & counted), changed
            )

    def _conclude(self, tree: "Tree", edge: Tensor, node: Tensor, wanted: Tensor) -> Tensor:
        """Write the bounds of edges `[B]` that lead to nodes `[B]`, in wanted rows; bool `[B]`, which are new."""
        before_lower, before_upper = self.lower.index_select(0, edge), self.upper.index_select(0, edge)
        legal = tree.legal(node)
        low, high = (bound[:, 0] for bound in self.bounds(node, tree.slots).of_nodes(legal))
        reward, discount = tree.reward.index_select(0, edge), tree.discount.index_select(0, edge)
        same = discount > 0
        lower = reward + discount * torch.where(same, low, high)
        upper = reward + discount * torch.where(same, high, low)
        value = torch.where(lower > 0, lower, torch.where(upper < 0, upper, lower))
        proven = wanted & is_proven(lower, upper)
        lower, upper = torch.where(proven, value, lower), torch.where(proven, value, upper)
        changed = wanted & ((lower != before_lower) | (upper != before_upper))
        self.lower[edge] = torch.where(wanted, lower, before_lower)
        self.upper[edge] = torch.where(wanted, upper, before_upper)
        tree.reward[edge] = torch.where(proven, value, reward)
        tree.discount[edge] = torch.where(proven, 0.0, discount)
        tree.child[edge] = torch.where(proven, closed(node), tree.child.index_select(0, edge))
        sums, visits = tree.value_sum.index_select(0, edge), tree.visits.index_select(0, edge)
        tree.value_sum[edge] = torch.where(proven, visits * value, sums)
        return changed


def is_proven(lower: Tensor, upper: Tensor) -> Tensor:
    """Whether bounds determine who wins, or that nobody does; bool of their shape."""
    return (lower > 0) | (upper < 0) | (lower == upper)


def node_behind(child: Tensor) -> Tensor:
    """Nodes of edges by their `child`, also of closed edges; negative where there is none."""
    return torch.where(child <= _CLOSED, _CLOSED - child, child)


def closed(node: Tensor) -> Tensor:
    """The `child` of closed edges to proven nodes."""
    return _CLOSED - node


def inferior(stats: "NodeStats") -> Tensor:
    """bool `[R, K]`: legal slots that are not to be played.

    At a node that is won or drawn those that are not proven to keep that; elsewhere those that are proven to lose,
    except where all do.
    """
    assert stats.bounds is not None
    legal = stats.legal
    lower, upper = stats.bounds
    node_lower, node_upper = stats.bounds.of_nodes(legal)
    keeps = torch.where(is_proven(node_lower, node_upper), lower.sign() >= node_lower.sign(), upper >= 0)
    return legal & ~keeps


def within_bounds(value: Tensor, stats: "NodeStats") -> Tensor:
    """Values float32 `[R]` of nodes, moved to their nearest bound where they are beyond it."""
    assert stats.bounds is not None
    lower, upper = stats.bounds.of_nodes(stats.legal)
    return value.clamp(lower[:, 0], upper[:, 0])


def without_inferior(weights: Tensor, stats: "NodeStats") -> Tensor:
    """Weights float32 `[R, K]` of slots with 0 at inferior ones; the prior of the others where nothing is left."""
    bad = inferior(stats)
    left = torch.where(bad, 0.0, weights)
    prior = torch.softmax(torch.where(bad, torch.finfo(torch.float32).min, stats.logits), -1)
    return torch.where(left.sum(-1, keepdim=True) > 0, left, prior)
