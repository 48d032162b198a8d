"""Tree reuse between moves: the subtree of the move that was played becomes the tree of the next search.

As in AlphaGo Zero (Silver et al. 2017, Methods), the statistics below the move are kept and the rest is dropped. Every
search still runs all of its simulations, so that a tree has more visits at the same number of evaluations. The root is
evaluated again and gets new noise. In Gumbel AlphaZero sequential halving counts only the new visits of the root, while
its Q values are means over all.

A tree holds evaluations of one version of the weights. After an update of the weights call `forget`, which drops all
trees.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from agents.search.gumbel import GumbelSearch
from agents.search.puct import PuctSearch
from agents.search.root import Root, SearchResult
from agents.search.simulation import Dynamics
from agents.search.solver import closed, node_behind
from agents.search.tree import ENDED, UNEXPANDED, Tree


class _Last(NamedTuple):
    """A batch of searches: trees, slots of the roots that were played, and keys of the games, int64 `[B]` each."""

    tree: Tree
    slot: Tensor
    game_id: Tensor
    ply: Tensor


class TreeReuse:
    """A search that continues its trees where a game goes on with the move that it chose.

    Row b of a batch continues the tree of row b of the batch before where both have the same game id and the plies
    follow each other; other rows start new trees. A tree keeps the first `simulations` nodes below its new root.
    """

    def __init__(self, search: GumbelSearch | PuctSearch) -> None:
        self.search = replace(search, continued=True) if isinstance(search, GumbelSearch) else search
        self._last: _Last | None = None

    def forget(self) -> None:
        """Start new trees with the next batch."""
        self._last = None

    def __call__(self, root: Root, *, dynamics: Dynamics, seed: int, temperature: Tensor | float = 1.0) -> SearchResult:
        """Decisions for B roots; the visit counts are those of the whole trees."""
        inherited = None
        last, simulations = self._last, self.search.simulations
        if last is not None and last.tree.batch == len(root.game_id):
            same = (root.game_id == last.game_id) & (root.ply == last.ply + 1)
            inherited = subtrees(last.tree, root, last.slot, same, kept=simulations, room=simulations)
        decision = self.search.decide(root, dynamics=dynamics, seed=seed, temperature=temperature, inherited=inherited)
        # The caller may write into its numbers.
        self._last = _Last(decision.tree, decision.slot, root.game_id.clone(), root.ply.clone())
        return decision.result


def subtrees(tree: Tree, root: Root, slot: Tensor, same: Tensor, *, kept: int, room: int) -> Tree:
    """New trees of B roots with the nodes below the slots int64 `[B]` of the old roots, in rows of `same` bool `[B]`.

    kept: largest number of nodes that a tree keeps besides its root, those created first; the edges to others are
    unexpanded, with their visits. room: simulations that the trees can grow by, from number `kept` on.
    """
    batch, slots = tree.batch, tree.slots
    new = Tree.allocate(root, kept + room, solver=tree.proofs is not None)
    number = _numbers(tree, slot, same, kept)
    taken = number >= 0
    # Old rows by new row; the last entry takes what is dropped.
    place = torch.where(taken, number, (kept + 1) * batch)
    old_rows = torch.arange(len(number), device=slot.device)
    source = torch.zeros((kept + 1) * batch + 1, dtype=torch.int64, device=slot.device)
    source[place] = old_rows
    filled = torch.zeros(len(source), dtype=torch.bool, device=slot.device)
    filled[place] = True
    source, filled = source[:-1], filled[:-1]

    def copy_edges(into: Tensor, values: Tensor) -> None:
        head = into.view(-1, slots)[: len(source)]
        head.copy_(torch.where(filled[:, None], values.view(-1, slots).index_select(0, source), head))

    for name in ("visits", "value_sum", "reward", "discount"):
        copy_edges(getattr(new, name), getattr(tree, name))
    if tree.proofs is not None and new.proofs is not None:
        copy_edges(new.proofs.lower, tree.proofs.lower)
        copy_edges(new.proofs.upper, tree.proofs.upper)
    copy_edges(new.child, _renumbered(tree.child, number))

    # The roots have been evaluated again, with new noise.
    below, rows = filled[batch:], source[batch:]
    fields = [(new.logits, tree.logits), (new.prior, tree.prior), (new.value, tree.value)]
    if new.actions is not None and tree.actions is not None:
        fields.append((new.actions, tree.actions))
    for into, values in [*fields, *new.states.stored_with(tree.states)]:
        head = into[batch : len(source)]
        mask = below.view(-1, *(1,) * (head.dim() - 1))
        head.copy_(torch.where(mask, values.index_select(0, rows), head))
    chosen = tree.choice.index_select(0, source) - source * slots
    new.choice[: len(source)] = torch.arange(len(source), device=slot.device) * slots + torch.where(filled, chosen, 0)
    return new


def _numbers(tree: Tree, slot: Tensor, same: Tensor, kept: int) -> Tensor:
    """int64 `[M * B]`: the new rows of nodes, -1 of those that are dropped."""
    batch, slots, count = tree.batch, tree.slots, len(tree.value)
    trees = torch.arange(batch, device=slot.device)
    child = node_behind(tree.child)
    top = child.index_select(0, trees * slots + slot)
    started = same & (top >= 0)
    top = torch.where(started, top, trees)
    ancestor = torch.arange(count + 1, device=slot.device)
    edges = torch.arange(len(child), device=slot.device)
    ancestor[torch.where(child >= 0, child, count)] = edges // slots
    ancestor[count] = count
    ancestor[top] = top
    for _ in range((count // batch).bit_length()):  # each round doubles the distance
        ancestor = ancestor.index_select(0, ancestor)
    inside = (ancestor[:count].view(-1, batch) == top) & started
    rank = inside.cumsum(0) - 1
    return torch.where(inside & (rank <= kept), rank * batch + trees, -1).flatten()


def _renumbered(child: Tensor, number: Tensor) -> Tensor:
    """int64 `[M * B * K]`: the children of edges as new rows; where they are dropped, UNEXPANDED or ENDED if closed."""
    node = node_behind(child)
    moved = number.index_select(0, node.clamp_min(0))
    shut = child < ENDED
    inside = torch.where(shut, closed(moved), moved)
    outside = torch.where(shut, ENDED, UNEXPANDED)
    return torch.where(node >= 0, torch.where(moved >= 0, inside, outside), child)
