"""One simulation of B trees in two calls of kernels, around the dynamics."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.search.completed_q import LARGEST_EXPONENT
from agents.search.gumbel import InteriorChoice, RootChoice
from agents.search.kernels import tree as kernels
from agents.search.puct import PuctChoice
from agents.search.simulation import Descend, Dynamics, descend_to_leaves
from agents.search.tree import Tree

DescendKernel = Callable[..., int]


class CompiledSimulation:
    """Runs simulations on a tree: `agents.search.simulation.simulate`, with the same result.

    The interior choices are computed in the descent and never stored: `Tree.choice` is not written.
    """

    def __init__(self, tree: Tree, dynamics: Dynamics, descend: DescendKernel, by_simulation: Any, *fixed: Any) -> None:
        """descend: a kernel of `agents.search.kernels.tree`. by_simulation: arrays of which it takes one, or None.

        fixed: its further arguments up to `path`.
        """
        self._tree, self._dynamics = tree, dynamics
        self._kernel, self._by_simulation, self._fixed = descend, by_simulation, fixed
        batch, nodes = tree.batch, len(tree.value) // tree.batch
        self._path = np.zeros((nodes, batch), np.int64)
        self._length = np.zeros(batch, np.int64)
        self._parent, self._action = (torch.zeros(batch, dtype=torch.int64) for _ in range(2))
        self._wanted = torch.zeros(batch, dtype=torch.bool)
        leaves = (self._parent, self._action, self._wanted)
        self._leaves = tuple(field.numpy() for field in leaves)
        stored = (tree.visits, tree.value_sum, tree.logits, tree.prior, tree.value)
        self._statistics = tuple(field.numpy().reshape(-1) for field in stored)
        self._evaluations = (self._statistics[2], self._statistics[4])
        none = np.zeros(0, np.int16)
        self._actions = none if tree.actions is None else tree.actions.numpy().reshape(-1)
        self._child = tree.child.numpy()
        edges = (tree.visits, tree.value_sum, tree.reward, tree.discount, tree.child)
        self._edges = tuple(field.numpy() for field in edges)

    def __call__(self, simulation: int) -> int:
        """Run simulation number `simulation`, from 0; returns the depth of the deepest path."""
        tree, states = self._tree, self._tree.states
        scheduled = () if self._by_simulation is None else (self._by_simulation[simulation],)
        arguments = (tree.slots, *self._statistics, self._child, self._actions, *scheduled, *self._fixed)
        depth = self._kernel(*arguments, self._path, self._length, *self._leaves)
        leaf = self._dynamics(states.read(self._parent, self._nodes(depth)), self._action, self._wanted)
        index = simulation + 1
        block = slice(index * tree.batch, (index + 1) * tree.batch)
        plies = states.plies(self._parent)
        states.write(block, leaf.state, None if plies is None else plies + 1)
        logits = leaf.logits.detach().to(torch.float32)
        torch.softmax(logits, -1, out=tree.prior[block])
        if tree.actions is not None:
            assert leaf.actions is not None
            tree.actions[block] = leaf.actions
        returned = (_floats(leaf.reward), _floats(leaf.discount), leaf.ended.contiguous().numpy())
        evaluated = (_floats(logits).reshape(-1), _floats(leaf.value), *self._evaluations)
        leaves = (self._path, self._length, self._leaves[2], *returned, *evaluated)
        kernels.expand_and_back_up(block.start, *leaves, *self._edges)
        return depth

    def _nodes(self, depth: int) -> Tensor:
        """int64 `[depth, B]`: the nodes of the paths, where shorter ones repeat their last; empty without history."""
        if not self._tree.states.has_history:
            return self._parent[:0]
        kernels.repeat_last(self._path, self._length, depth)
        return torch.from_numpy(self._path[:depth]) // self._tree.slots


def compiled_simulation(
    tree: Tree, *, dynamics: Dynamics, root_choice: Any, interior_choice: Any, descend: Descend
) -> CompiledSimulation | None:
    """The compiled form of a composition; None for one without kernels."""
    if descend is not descend_to_leaves or tree.logits.dtype != torch.float32:
        return None
    if tree.proofs is not None or tree.root_squares is not None:
        return None
    if type(root_choice) is RootChoice and type(interior_choice) is InteriorChoice:
        if interior_choice.max_sigma > LARGEST_EXPONENT or root_choice.before is not None:
            return None
        same = (root_choice.value_scale, root_choice.visit_offset)
        if same != (interior_choice.value_scale, interior_choice.visit_offset):
            return None
        scheduled = np.ascontiguousarray(root_choice.schedule.numpy().T)
        noise = root_choice.noise.expand_as(root_choice.legal).contiguous().numpy().reshape(-1)
        legal = root_choice.legal.contiguous().numpy().reshape(-1)
        return CompiledSimulation(
            tree, dynamics, kernels.descend_gumbel, scheduled, noise, legal, *map(np.float32, same)
        )
    if type(interior_choice) is PuctChoice and root_choice == interior_choice:
        inherited = int(tree.visits.view(-1, tree.slots).sum(-1).max())
        most = inherited + len(tree.value) // tree.batch
        c = interior_choice.exploration(torch.arange(most + 1, dtype=torch.float32))
        fpu_reduction = np.float32(interior_choice.fpu_reduction)
        return CompiledSimulation(tree, dynamics, kernels.descend_puct, None, c.numpy(), fpu_reduction)
    return None


def _floats(values: Tensor) -> Any:
    """float32 array of values [B]."""
    return values.detach().to(torch.float32).contiguous().numpy()
