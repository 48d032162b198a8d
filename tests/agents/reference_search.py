"""Tree search one node at a time, in plain Python and float64: simple enough to check against the papers."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.agents.table_dynamics import ILLEGAL, Tables

Floats = NDArray[np.float64]


class Node:
    """One state of a world, and what the search has seen from it."""

    def __init__(self, world: Tables, state: int) -> None:
        self.world, self.state = world, state
        logits = world.logits[state].double().numpy()
        self.legal = [a for a in range(len(logits)) if logits[a] > ILLEGAL]
        self.logits: Floats = np.where(logits > ILLEGAL, logits, -np.inf)
        self.value = float(world.value[state])
        self.visits: Floats = np.zeros(len(logits))
        self.sums: Floats = np.zeros(len(logits))
        self.children: dict[int, Node] = {}

    def prior(self) -> Floats:
        exponents = np.exp(self.logits - self.logits.max())
        return exponents / exponents.sum()


Choose = Callable[[Node], int]


def simulate(node: Node, action: int, choose: Choose) -> float:
    """One simulation whose first step is `action`; returns its return for the mover at `node`."""
    edge = (node.state, action)
    ret = float(node.world.reward[edge])
    if not node.world.ended[edge]:
        discount = float(node.world.discount[edge])
        if action in node.children:
            child = node.children[action]
            ret += discount * simulate(child, choose(child), choose)
        else:
            child = node.children[action] = Node(node.world, int(node.world.successor[edge]))
            ret += discount * child.value
    node.visits[action] += 1
    node.sums[action] += ret
    return ret


def puct(node: Node, c_init: float = 1.25, c_base: float = 19652.0, fpu_reduction: float = 0.0) -> int:
    total = node.visits.sum()
    mean = (node.value + node.sums.sum()) / (1 + total)
    c = c_init + math.log((1 + total + c_base) / c_base)
    prior = node.prior()

    def score(a: int) -> float:
        q = node.sums[a] / node.visits[a] if node.visits[a] else mean - fpu_reduction
        return float(q + c * prior[a] * math.sqrt(max(total, 1)) / (1 + node.visits[a]))

    return max(node.legal, key=score)


def puct_search(world: Tables, state: int, simulations: int, fpu_reduction: float = 0.0) -> Node:
    """The root after a PUCT search without noise."""
    root = Node(world, state)

    def choose(node: Node) -> int:
        return puct(node, fpu_reduction=fpu_reduction)

    for _ in range(simulations):
        simulate(root, choose(root), choose)
    return root


def sigma(node: Node, value_scale: float = 0.1, visit_offset: float = 50.0) -> Floats:
    """Completed Q values, rescaled and transformed (Danihelka et al. 2022, equations 8 and 33)."""
    seen = [a for a in node.legal if node.visits[a]]
    mixed = node.value
    if seen:
        prior = node.prior()
        weighted = sum(prior[a] * node.sums[a] / node.visits[a] for a in seen) / sum(prior[a] for a in seen)
        mixed = (node.value + node.visits.sum() * weighted) / (1 + node.visits.sum())
    q = np.full(len(node.visits), mixed)
    for a in seen:
        q[a] = node.sums[a] / node.visits[a]
    scaled = (q - q.min()) / max(q.max() - q.min(), 1e-8)
    return (visit_offset + node.visits.max()) * value_scale * scaled


def improved_policy(node: Node) -> Floats:
    scores = node.logits + sigma(node)
    exponents = np.exp(scores - scores.max())
    return exponents / exponents.sum()


def gumbel_interior(node: Node) -> int:
    wish = improved_policy(node) - node.visits / (1 + node.visits.sum())
    return max(node.legal, key=lambda a: wish[a])


def gumbel_search(world: Tables, state: int, simulations: int, considered: int, gumbel: Floats) -> tuple[Node, int]:
    """The root after a Gumbel search with this noise, and the action to play."""
    root = Node(world, state)
    remaining = min(considered, len(root.legal))
    phases = math.ceil(math.log2(remaining)) if remaining > 1 else 1

    def best(among: list[int]) -> int:
        scores = gumbel + root.logits + sigma(root)
        return max(among, key=lambda a: scores[a])

    done = 0
    level = 0
    while done < simulations:
        share = max(1, simulations // (phases * remaining)) if remaining > 1 else simulations
        for _ in range(share):
            for _ in range(remaining):
                if done == simulations:
                    break
                simulate(root, best([a for a in root.legal if root.visits[a] == level]), gumbel_interior)
                done += 1
            level += 1
        remaining = max(2, remaining // 2) if remaining > 1 else 1
    most = root.visits.max()
    return root, best([a for a in root.legal if root.visits[a] == most])
