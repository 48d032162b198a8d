"""Random search trees, for kernels that are compared with the reference."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.search.root import Root
from agents.search.tree import ENDED, Tree

SLOTS = 5


class _State(NamedTuple):
    board: Tensor


def random_tree(batch: int, depth: int, seed: int, device: torch.device | None = None) -> Tree:
    """Trees of `depth` blocks of nodes whose edges lead to nodes of later blocks, nowhere, or to ended games.

    Values are multiples of 1 / 8 and discounts 1, -1 or 0, so that sums are exact in every order.
    """
    random = torch.Generator().manual_seed(seed)
    numbers = torch.arange(batch)
    zeros = torch.zeros(batch, SLOTS, device=device)
    ids = numbers.to(device)
    root = Root(_State(ids), zeros == 0, zeros, zeros[:, 0], ids, ids)
    tree = Tree.allocate(root, depth)
    nodes = torch.arange((depth + 1) * batch)
    block, board = nodes // batch, nodes % batch
    # An edge's child lies in a later block of the same tree; in the last block no edge has one.
    later = block[:, None] + torch.randint(1, 3, (len(nodes), SLOTS), generator=random)
    child = torch.where(later <= depth, later * batch + board[:, None], ENDED)
    child = torch.where(torch.rand(child.shape, generator=random) < 0.2, -1, child)
    tree.child.copy_(child.flatten())
    tree.choice.copy_(nodes * SLOTS + torch.randint(0, SLOTS, nodes.shape, generator=random))
    tree.reward.copy_(torch.randint(-8, 9, tree.reward.shape, generator=random) / 8)
    tree.discount.copy_(torch.randint(-1, 2, tree.discount.shape, generator=random))
    return tree
