"""B search trees as flat tensors.

A tree has M = simulations + 1 nodes of K slots, one for each legal action (see `agents.games.Game`). Node m of tree b
is row m * B + b of every node array: the nodes that one simulation creates are one contiguous block, so that slices
write them. Edge (node, slot) is element node * K + slot of every edge array. No node is created where the game is over:
the edge is marked ENDED and has the reward, so that further visits need no step and no evaluation.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.search.node_states import NodeStates
from agents.search.root import Root
from agents.search.solver import Bounds, Proofs

UNEXPANDED, ENDED = -1, -2
ILLEGAL = torch.finfo(torch.float32).min
"""Logit of an illegal action or an empty slot; its prior is exactly 0."""


class NodeStats(NamedTuple):
    """Statistics of R nodes, from which slots are chosen.

    visits: float32 `[R, K]`, visit counts.
    value_sum: float32 `[R, K]`, the sum of the returns of each slot, for the player to move.
    logits: float32 `[R, K]`, the prior; ILLEGAL at illegal actions and empty slots.
    prior: float32 `[R, K]`, softmax of the logits.
    value: float32 `[R]`, the network's value.
    bounds: of the slots' values; None in a search without `agents.search.solver`.
    """

    visits: Tensor
    value_sum: Tensor
    logits: Tensor
    prior: Tensor
    value: Tensor
    bounds: Bounds | None = None

    @property
    def legal(self) -> Tensor:
        """bool `[R, K]`: slots with a legal action."""
        return self.logits > ILLEGAL


class Leaf(NamedTuple):
    """Result of the dynamics for B leaves; rows that were not wanted may hold any finite numbers.

    state: fields `[B, ...]`, the successor.
    reward: float32 `[B]`, for the player who moved.
    discount: float32 `[B]`, factor of the leaf's value: negative where the other player moves next, positive where the
    same does, 0 where the game is over.
    ended: bool `[B]`.
    logits: float32 `[B, K]` and value: float32 `[B]`, for the successor's player to move.
    actions: int64 `[B, K]`, the action of each of the successor's slots; None where slot k is action k.
    """

    state: Any
    reward: Tensor
    discount: Tensor
    ended: Tensor
    logits: Tensor
    value: Tensor
    actions: Tensor | None = None


@dataclass(frozen=True)
class Tree:
    """Storage of B trees; every array is written in place."""

    batch: int
    slots: int
    states: NodeStates
    actions: Tensor | None  # [M * B, K], the action of each slot; None where slot k is action k
    logits: Tensor  # [M * B, K]
    prior: Tensor  # [M * B, K], softmax of the logits, computed once per node
    value: Tensor  # [M * B]
    choice: Tensor  # [M * B], the edge that an interior node selects
    visits: Tensor  # [M * B * K], also the following arrays
    value_sum: Tensor
    reward: Tensor
    discount: Tensor
    child: Tensor  # node, UNEXPANDED or ENDED; less where the edge to a proven node is closed (`agents.search.solver`)
    proofs: Proofs | None = None
    root_squares: Tensor | None = None  # [B * K], sums of squared returns of the roots' edges, where they are wanted

    @classmethod
    def allocate(cls, root: Root, simulations: int, *, solver: bool = False, squares: bool = False) -> "Tree":
        """Trees of B roots, without edges; solver, squares: with room for proofs and for the roots' squared returns."""
        logits = root.logits
        batch, slots = logits.shape
        nodes = batch * (simulations + 1)

        def edges(fill: float, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.full((nodes * slots,), fill, dtype=dtype, device=logits.device)

        tree = cls(
            batch=batch,
            slots=slots,
            states=NodeStates(root.state, root.history, nodes),
            actions=None if root.actions is None else edges(-1, torch.int16).view(nodes, slots),
            logits=logits.new_zeros((nodes, slots)),
            prior=logits.new_zeros((nodes, slots)),
            value=logits.new_zeros(nodes),
            choice=torch.zeros(nodes, dtype=torch.int64, device=logits.device),
            visits=edges(0.0),
            value_sum=edges(0.0),
            reward=edges(0.0),
            discount=edges(0.0),
            child=edges(UNEXPANDED, torch.int64),
            proofs=Proofs.unknown(edges(0.0)) if solver else None,
            root_squares=logits.new_zeros(batch * slots) if squares else None,
        )
        tree.write_evaluations(slice(0, batch), logits, root.value, root.actions)
        return tree

    def extended(self, simulations: int) -> "Tree":
        """The same trees with room for `simulations` simulations, which are no fewer than now."""
        nodes = self.batch * (simulations + 1)

        def longer(stored: Tensor, count: int, fill: float = 0.0) -> Tensor:
            room = stored.new_full((count, *stored.shape[1:]), fill)
            room[: len(stored)] = stored
            return room

        edges = nodes * self.slots
        return replace(
            self,
            states=self.states.extended(nodes),
            actions=None if self.actions is None else longer(self.actions, nodes, -1),
            logits=longer(self.logits, nodes),
            prior=longer(self.prior, nodes),
            value=longer(self.value, nodes),
            choice=longer(self.choice, nodes),
            visits=longer(self.visits, edges),
            value_sum=longer(self.value_sum, edges),
            reward=longer(self.reward, edges),
            discount=longer(self.discount, edges),
            child=longer(self.child, edges, UNEXPANDED),
            proofs=None if self.proofs is None else self.proofs.extended(edges),
        )

    def root_stats(self) -> NodeStats:
        """Statistics of the B roots, as views."""
        end = self.batch
        rows = (end, self.slots)
        return NodeStats(
            self.visits[: end * self.slots].view(rows),
            self.value_sum[: end * self.slots].view(rows),
            self.logits[:end],
            self.prior[:end],
            self.value[:end],
            None if self.proofs is None else self.proofs.bounds(slice(0, end), self.slots),
        )

    def stats(self, nodes: Tensor) -> NodeStats:
        """Statistics of nodes int64 `[R]`."""
        return NodeStats(
            self.visits.view(-1, self.slots).index_select(0, nodes),
            self.value_sum.view(-1, self.slots).index_select(0, nodes),
            self.logits.index_select(0, nodes),
            self.prior.index_select(0, nodes),
            self.value.index_select(0, nodes),
            None if self.proofs is None else self.proofs.bounds(nodes, self.slots),
        )

    def legal(self, nodes: Tensor) -> Tensor:
        """bool `[R, K]`: slots of nodes int64 `[R]` with a legal action."""
        return self.logits.index_select(0, nodes) > ILLEGAL

    def write_evaluations(self, block: slice, logits: Tensor, value: Tensor, actions: Tensor | None) -> None:
        """Write the evaluations and slots of a block of B nodes."""
        self.logits[block] = logits
        self.prior[block] = torch.softmax(logits, -1)
        self.value[block] = value
        if self.actions is not None:
            assert actions is not None
            self.actions[block] = actions

    def action_of(self, edge: Tensor, node: Tensor) -> Tensor:
        """int64 `[B]`: the actions of edges `[B]` of nodes `[B]`; 0 where a slot is empty."""
        if self.actions is None:
            return edge - node * self.slots
        return self.actions.view(-1).index_select(0, edge).clamp_min(0).to(torch.int64)
