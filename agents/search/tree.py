"""B search trees as flat tensors, and the loop that grows them in lockstep.

A tree has M = simulations + 1 nodes of K actions. Node m of tree b is row m * B + b of every node array: the nodes that
one simulation creates are one contiguous block, so they are written by slices. Edge (node, action) is element
node * K + action of every edge array. A node whose game is over is never created: its edge is marked ENDED and carries
the reward, so that visiting it again costs no step and no evaluation.

What an interior node would choose depends on that node's statistics alone, so it is computed once when they change, for
all nodes of all paths together, and a descent only follows `choice`: three small gathers a level.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

UNEXPANDED, ENDED = -1, -2
ILLEGAL = torch.finfo(torch.float32).min
"""The logit of an illegal action; its prior is exactly 0."""


class NodeStats(NamedTuple):
    """What choices are made from, for R nodes.

    visits and value_sum: float32 [R, K], simulations through each action and the sum of their returns for the mover.
    logits: float32 [R, K], the prior (illegal actions at the smallest float), and prior: its softmax.
    value: float32 [R], the raw estimate.
    """

    visits: Tensor
    value_sum: Tensor
    logits: Tensor
    prior: Tensor
    value: Tensor


class Leaf(NamedTuple):
    """What the dynamics answers for B leaves; rows it was told to ignore may hold anything finite.

    state: the successor. reward: float32 [B], for the player who moved. discount: float32 [B], -1 where the other
    player moves next, +1 where the same does, 0 where the game is over. ended: bool [B].
    logits: float32 [B, K] and value: float32 [B], from the successor's mover's point of view.
    """

    state: Any
    reward: Tensor
    discount: Tensor
    ended: Tensor
    logits: Tensor
    value: Tensor


Dynamics = Callable[[Any, Tensor, Tensor], Leaf]
"""(states of B parents, action int64 [B], wanted bool [B]) -> Leaf: the rules, or a learned model."""
Choice = Callable[[NodeStats], Tensor]
"""Statistics of R nodes -> action int64 [R]."""


@dataclass(frozen=True)
class Tree:
    """Storage for B trees; every array is written in place."""

    batch: int
    actions: int
    states: Any  # fields [M * B, ...]
    logits: Tensor  # [M * B, K]
    prior: Tensor  # [M * B, K], softmax of the logits: once a node instead of at every choice
    value: Tensor  # [M * B]
    choice: Tensor  # [M * B], the edge an interior node would follow
    visits: Tensor  # [M * B * K], as are the rest
    value_sum: Tensor
    reward: Tensor
    discount: Tensor
    child: Tensor  # a node, UNEXPANDED or ENDED

    @classmethod
    def allocate(cls, root_states: Any, logits: Tensor, simulations: int) -> "Tree":
        """Empty trees for roots like these; logits: float32 [B, K]."""
        batch, actions = logits.shape
        nodes = batch * (simulations + 1)

        def edges(fill: float, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.full((nodes * actions,), fill, dtype=dtype, device=logits.device)

        return cls(
            batch=batch,
            actions=actions,
            states=type(root_states)(*(f.new_zeros((nodes, *f.shape[1:])) for f in root_states)),
            logits=logits.new_zeros((nodes, actions)),
            prior=logits.new_zeros((nodes, actions)),
            value=logits.new_zeros(nodes),
            choice=torch.zeros(nodes, dtype=torch.int64, device=logits.device),
            visits=edges(0.0),
            value_sum=edges(0.0),
            reward=edges(0.0),
            discount=edges(0.0),
            child=edges(UNEXPANDED, torch.int64),
        )

    def root_stats(self) -> NodeStats:
        """Statistics of the B roots, as views."""
        end = self.batch
        rows = (end, self.actions)
        return NodeStats(
            self.visits[: end * self.actions].view(rows),
            self.value_sum[: end * self.actions].view(rows),
            self.logits[:end],
            self.prior[:end],
            self.value[:end],
        )

    def stats(self, nodes: Tensor) -> NodeStats:
        """Statistics of nodes int64 [R]."""
        return NodeStats(
            self.visits.view(-1, self.actions).index_select(0, nodes),
            self.value_sum.view(-1, self.actions).index_select(0, nodes),
            self.logits.index_select(0, nodes),
            self.prior.index_select(0, nodes),
            self.value.index_select(0, nodes),
        )

    def write_block(self, index: int, states: Any, logits: Tensor, value: Tensor) -> None:
        """Nodes number `index` of all trees."""
        block = slice(index * self.batch, (index + 1) * self.batch)
        for stored, new in zip(self.states, states, strict=True):
            stored[block] = new
        self.logits[block] = logits
        self.prior[block] = torch.softmax(logits, -1)
        self.value[block] = value


def grow(
    root_states: Any,
    logits: Tensor,
    value: Tensor,
    dynamics: Dynamics,
    root_choice: Callable[[NodeStats, int], Tensor],
    interior_choice: Choice,
    simulations: int,
    static: bool = False,
    max_depth: int | None = None,
) -> Tree:
    """Runs `simulations` simulations from B roots: descend, expand one leaf a tree, back up.

    logits: float32 [B, K] with illegal actions at the smallest float; value: float32 [B].
    `root_choice(stats, simulation)` and `interior_choice(stats)` answer actions int64.
    With `static` no step depends on the data: descents have the longest possible length, nothing is read back from the
    device, and all shapes are fixed, as a CUDA graph needs. Without it (the CPU) a descent ends with its deepest row.
    max_depth: edges of the longest line of play, which bounds static descents; None where there is no such bound.
    """
    tree = Tree.allocate(root_states, logits, simulations)
    tree.write_block(0, root_states, logits, value)
    roots = torch.arange(tree.batch, device=logits.device)
    for simulation in range(simulations):
        first = roots * tree.actions + root_choice(tree.root_stats(), simulation)
        longest = simulation + 1 if max_depth is None else min(simulation + 1, max_depth)
        path = _descend(tree, first, longest, static)
        new = roots + (simulation + 1) * tree.batch
        leaf_value = _expand(tree, path[-1], new, simulation + 1, dynamics)
        _back_up(tree, path, leaf_value)
        touched = torch.cat([(path[1:] // tree.actions).flatten(), new])
        tree.choice[touched] = touched * tree.actions + interior_choice(tree.stats(touched))
    return tree


def _descend(tree: Tree, first: Tensor, longest: int, static: bool) -> Tensor:
    """Edges followed from the roots, int64 [depth, B]; a row that has arrived repeats its last edge."""
    path = [first]
    edge = first
    for _ in range(longest - 1):
        child = tree.child.index_select(0, edge)
        inside = child >= 0
        if not static and not bool(inside.any()):
            break
        edge = torch.where(inside, tree.choice.index_select(0, child.clamp_min(0)), edge)
        path.append(edge)
    return torch.stack(path)


def _expand(tree: Tree, edge: Tensor, new: Tensor, index: int, dynamics: Dynamics) -> Tensor:
    """Creates the nodes behind the unexpanded among edges [B]; returns the leaves' values [B]."""
    parent = edge // tree.actions
    child = tree.child.index_select(0, edge)
    wanted = child == UNEXPANDED
    parents = type(tree.states)(*(f.index_select(0, parent) for f in tree.states))
    leaf = dynamics(parents, edge - parent * tree.actions, wanted)
    tree.write_block(index, leaf.state, leaf.logits, leaf.value)
    tree.child[edge] = torch.where(wanted, torch.where(leaf.ended, ENDED, new), child)
    tree.reward[edge] = torch.where(wanted, leaf.reward, tree.reward.index_select(0, edge))
    tree.discount[edge] = torch.where(wanted, leaf.discount, tree.discount.index_select(0, edge))
    return leaf.value


def _back_up(tree: Tree, path: Tensor, leaf_value: Tensor) -> None:
    """Adds the leaves' returns along paths [depth, B]; behind an ended edge a discount of 0 drops the leaf's value."""
    flat = path.flatten()
    counted = torch.ones_like(path, dtype=torch.bool)
    counted[1:] = path[1:] != path[:-1]
    reward = tree.reward.index_select(0, flat).view_as(path) * counted
    discount = torch.where(counted, tree.discount.index_select(0, flat).view_as(path), 1.0)
    returns = []
    value = leaf_value
    for depth in reversed(range(path.shape[0])):
        value = torch.addcmul(reward[depth], discount[depth], value)
        returns.append(value)
    returns.reverse()
    tree.value_sum.index_add_(0, flat, (torch.stack(returns) * counted).flatten())
    tree.visits.index_add_(0, flat, counted.flatten().to(torch.float32))
