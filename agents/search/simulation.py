"""The loop that grows search trees: descend, expand one leaf per tree, back up.

The choice of an interior node depends only on its statistics. It is computed when they change, for all nodes of all
paths together, and a descent only follows `choice`: three small gathers per level.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.search import triton_kernels
from agents.search.device_kernels import has_triton
from agents.search.root import Root, SearchResult
from agents.search.tree import ENDED, UNEXPANDED, Leaf, NodeStats, Tree
from lab import jit

Dynamics = Callable[[Any, Tensor, Tensor], Leaf]
"""(states of B parents, action int64 `[B]`, wanted bool `[B]`) -> Leaf: the rules, or a learned model."""
Choice = Callable[[NodeStats], Tensor]
"""Statistics of R nodes -> slot int64 `[R]`."""
RootChoice = Callable[[NodeStats, int], Tensor]
"""(statistics of the roots, simulation) -> slot int64 `[B]`."""
Descend = Callable[[Tree, Tensor, int], Tensor]
"""(tree, the roots' edges int64 `[B]`, simulation) -> edges of the paths int64 `[depth, B]`."""


class Decision(NamedTuple):
    """Result of a search with its trees.

    slot: int64 `[B]`, of the root, the move to play.
    """

    result: SearchResult
    tree: Tree
    slot: Tensor


def grow(
    root: Root,
    *,
    dynamics: Dynamics,
    root_choice: RootChoice,
    interior_choice: Choice,
    simulations: int,
    descend: Descend,
    solver: bool = False,
    squares: bool = False,
    inherited: Tree | None = None,
) -> Tree:
    """Run `simulations` simulations from B roots: descend, expand one leaf per tree, back up.

    root: its logits are float32 `[B, K]` with ILLEGAL at illegal actions and empty slots.
    root_choice: (statistics of the roots, simulation) -> slot int64 `[B]`.
    interior_choice: statistics of R nodes -> slot int64 `[R]`.
    descend: `descend_to_leaves` or `descend_fixed_length`.
    solver: prove wins, losses and draws (`agents.search.solver`).
    squares: sum the squared returns of the roots' edges.
    inherited: trees of these roots that have grown before (`agents.search.reuse`); their last blocks of nodes, one for
    each simulation, are free.
    """
    if inherited is None:
        tree = Tree.allocate(root, simulations, solver=solver, squares=squares)
    else:
        tree = inherited
        tree.write_evaluations(slice(0, tree.batch), root.logits, root.value, root.actions)  # with this search's noise
    first = len(tree.value) // tree.batch - 1 - simulations
    run = simulator(
        tree,
        dynamics=dynamics,
        root_choice=root_choice,
        interior_choice=interior_choice,
        descend=descend,
        first=first,
    )
    for simulation in range(first, first + simulations):
        run(simulation)
    return tree


def simulator(
    tree: Tree,
    *,
    dynamics: Dynamics,
    root_choice: RootChoice,
    interior_choice: Choice,
    descend: Descend,
    first: int = 0,
) -> Callable[[int], int]:
    """A function that runs simulation number n, from `first`, and returns the depth of the deepest path.

    Arguments as in `grow`; earlier simulations are inherited. On a CPU with numba the compositions of
    `agents.search.kernels.simulation` run compiled, with the same result; `simulate` runs all others.
    """
    if tree.logits.device.type == "cpu" and jit.available(len(tree.value)):
        from agents.search.kernels.simulation import compiled_simulation

        compiled = compiled_simulation(
            tree, dynamics=dynamics, root_choice=root_choice, interior_choice=interior_choice, descend=descend
        )
        if compiled is not None:
            return compiled

    def run(simulation: int) -> int:
        slot = root_choice(tree.root_stats(), simulation - first)
        return len(
            simulate(tree, slot, simulation, dynamics=dynamics, interior_choice=interior_choice, descend=descend)
        )

    return run


def simulate(
    tree: Tree, slot: Tensor, simulation: int, *, dynamics: Dynamics, interior_choice: Choice, descend: Descend
) -> Tensor:
    """Run simulation number `simulation`, from 0, through the slots int64 `[B]` of the roots.

    Arguments as in `grow`. Returns the edges of the paths, int64 `[depth, B]`.
    """
    roots = torch.arange(tree.batch, device=slot.device)
    path = descend(tree, roots * tree.slots + slot, simulation)
    nodes = path // tree.slots
    new = roots + (simulation + 1) * tree.batch
    leaf_value = _expand(tree, path[-1], nodes, new, simulation + 1, dynamics)
    if tree.proofs is not None:
        tree.proofs.propagate(tree, path)
    returns = _back_up(tree, path, leaf_value)
    if tree.root_squares is not None and returns is not None:
        tree.root_squares.index_add_(0, path[0], returns.square())
    touched = torch.cat([nodes[1:].flatten(), new])
    tree.choice[touched] = touched * tree.slots + interior_choice(tree.stats(touched))
    return path


def descend_to_leaves(tree: Tree, first: Tensor, simulation: int) -> Tensor:
    """int64 `[depth, B]`: edges from the roots to the leaves; depth is that of the deepest row.

    first: int64 `[B]`, edges of the roots. A row that has reached its leaf repeats the last edge. Each level waits for
    the device, so this is for the CPU.
    """
    path = [first]
    for _ in range(simulation):
        inside, edge = _follow(tree, path[-1])
        if not bool(inside.any()):
            break
        path.append(edge)
    return torch.stack(path)


def descend_fixed_length(tree: Tree, first: Tensor, simulation: int, *, max_depth: int | None = None) -> Tensor:
    """int64 `[depth, B]`: the same path with a depth that does not depend on the data.

    Nothing waits for the device and all shapes are fixed, as CUDA graphs require.
    max_depth: largest number of plies of the game; None without a bound.
    """
    levels = simulation if max_depth is None else min(simulation, max_depth - 1)
    if has_triton(first.device):
        return triton_kernels.descend(tree, first, levels + 1)
    path = [first]
    for _ in range(levels):
        path.append(_follow(tree, path[-1])[1])
    return torch.stack(path)


def _follow(tree: Tree, edge: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each edge `[B]` leads to a node, and the edge selected there; other rows keep their edge."""
    child = tree.child.index_select(0, edge)
    inside = child >= 0
    return inside, torch.where(inside, tree.choice.index_select(0, child.clamp_min(0)), edge)


def _expand(tree: Tree, edge: Tensor, nodes: Tensor, new: Tensor, index: int, dynamics: Dynamics) -> Tensor:
    """Create nodes for the unexpanded edges in `edge` `[B]`; returns the leaves' values `[B]`.

    nodes: `[depth, B]`, the paths' nodes. new: `[B]`, the new nodes, block `index` of the tree.
    """
    parent = nodes[-1]
    child = tree.child.index_select(0, edge)
    wanted = child == UNEXPANDED
    leaf = dynamics(tree.states.read(parent, nodes), tree.action_of(edge, parent), wanted)
    block = slice(index * tree.batch, (index + 1) * tree.batch)
    plies = tree.states.plies(parent)
    tree.states.write(block, leaf.state, None if plies is None else plies + 1)
    tree.write_evaluations(block, leaf.logits, leaf.value, leaf.actions)
    tree.child[edge] = torch.where(wanted, torch.where(leaf.ended, ENDED, new), child)
    tree.reward[edge] = torch.where(wanted, leaf.reward, tree.reward.index_select(0, edge))
    tree.discount[edge] = torch.where(wanted, leaf.discount, tree.discount.index_select(0, edge))
    return leaf.value


def _back_up(tree: Tree, path: Tensor, leaf_value: Tensor) -> Tensor | None:
    """Add the leaves' returns along paths `[depth, B]`; the discount 0 of an ended edge drops the leaf's value.

    Returns the returns of the roots' edges `[B]`, None where no squares of them are wanted.
    """
    if tree.root_squares is None and has_triton(path.device):
        triton_kernels.back_up(tree, path, leaf_value)
        return None
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
    return returns[0]
