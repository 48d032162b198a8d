"""A search tree of one position that grows simulation by simulation until its owner stops it.

For engines and analysis, where a clock or a person ends the search. The searches of `GumbelSearch` and `PuctSearch`
need the number of simulations in advance: the schedule of sequential halving depends on it. Here PUCT chooses at the
root as below it, so that after every simulation the most visited move is the answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.search.puct import PuctSearch
from agents.search.root import Root
from agents.search.simulation import Dynamics, descend_to_leaves, simulator
from agents.search.solver import inferior, is_proven, node_behind
from agents.search.tree import ENDED, ILLEGAL, NodeStats, Tree

_FIRST_ROOM = 255  # simulations before the storage is doubled


@dataclass(frozen=True)
class Line:
    """A move of the root and the moves that the search expects after it.

    visits: of the move. value: its mean return in [-1, 1] for the player to move at the root; the network's value of
    the root where the move has no visits. prior: the network's probability. actions: the move first.
    wins: the move ends the game at once, won.
    """

    visits: int
    value: float
    prior: float
    actions: tuple[int, ...]
    wins: bool = False


class GrowingTree:
    """PUCT without noise from one root (`root` with B = 1).

    only: actions that the root may choose; None for all legal ones.
    most: simulations after which the tree is `full` and grows no more, a bound on its memory.
    """

    def __init__(
        self, root: Root, *, dynamics: Dynamics, search: PuctSearch, most: int, only: Sequence[int] | None = None
    ) -> None:
        if len(root.logits) != 1:
            raise ValueError(f"a growing tree has one root, not {len(root.logits)}")
        legal = root.legal
        if only is not None:
            legal = legal & torch.isin(root.slot_actions(), torch.tensor(list(only), device=legal.device))
        root = root._replace(legal=legal, logits=torch.where(legal, root.logits, ILLEGAL))
        self.simulations = 0
        self.choices = int(legal.sum())
        """Number of moves that the root may choose."""
        self.deepest = 0
        self._depths = 0
        self._room = min(_FIRST_ROOM, most)
        self._most = most
        self._dynamics, self._search = dynamics, search
        self._tree = Tree.allocate(root, self._room, solver=search.solver)
        self._run = self._simulator()

    @property
    def full(self) -> bool:
        """Whether there is no room for a further simulation."""
        return self.simulations >= self._most

    @property
    def mean_depth(self) -> float:
        """Mean number of plies from the root to the leaves of the simulations."""
        return self._depths / max(self.simulations, 1)

    @property
    def fullness(self) -> float:
        """Fraction of the room in use."""
        return self.simulations / max(self._most, 1)

    @torch.inference_mode()
    def simulate(self) -> None:
        """One more simulation, on a tree that is not full."""
        if self.simulations == self._room:
            self._room = min(2 * self._room + 1, self._most)
            self._tree = self._tree.extended(self._room)
            self._run = self._simulator()
        depth = self._run(self.simulations)
        self.simulations += 1
        self._depths += depth
        self.deepest = max(self.deepest, depth)

    def _simulator(self) -> Callable[[int], int]:
        choice = self._search.choice
        return simulator(
            self._tree,
            dynamics=self._dynamics,
            root_choice=choice,
            interior_choice=choice,
            descend=descend_to_leaves,
        )

    def settled(self, left: float) -> bool:
        """Whether the most visited move stays so if `left` more simulations all visit the second.

        So too where it is proven who wins.
        """
        stats = self._tree.root_stats()
        if stats.bounds is not None and bool(is_proven(*stats.bounds.of_nodes(stats.legal))):
            return True
        visits = stats.visits[0]
        if len(visits) < 2:
            return True
        first, second = visits.topk(2).values.tolist()
        return bool(first - second > left)

    @torch.inference_mode()
    def lines(self, count: int | None = None, plies: int = 24) -> list[Line]:
        """The best `count` moves (all by default), the best first: by visits, then value, then prior.

        A move that wins at once comes before all others; with proofs, moves that give away what is proven come last.
        plies: largest number of moves of a line.
        """
        stats = self._tree.root_stats()
        slots = (stats.logits[0] > ILLEGAL).nonzero()[:, 0].tolist()
        visits, sums, prior = (values[0].tolist() for values in (stats.visits, stats.value_sum, stats.prior))
        value = float(stats.value[0])
        mean = {slot: sums[slot] / visits[slot] if visits[slot] else value for slot in slots}
        wins = {slot for slot in slots if self._wins(slot)}
        bad = set() if stats.bounds is None else set(inferior(stats)[0].nonzero()[:, 0].tolist())

        def rank(slot: int) -> tuple[float, ...]:
            return (slot not in wins, slot in bad, -visits[slot], -mean[slot], -prior[slot])

        best = sorted(slots, key=rank)[:count]
        return [
            Line(int(visits[slot]), mean[slot], prior[slot], self._expected(slot, plies), slot in wins) for slot in best
        ]

    def _wins(self, slot: int) -> bool:
        """Whether a move of the root was seen to end the game, won."""
        return int(self._tree.child[slot]) == ENDED and float(self._tree.reward[slot]) == 1.0

    def _expected(self, slot: int, plies: int) -> tuple[int, ...]:
        """The move of a slot of the root, then the most visited moves below it."""
        tree, node, actions = self._tree, 0, list[int]()
        while True:
            edge = torch.tensor([node * tree.slots + slot], device=tree.child.device)
            actions.append(int(tree.action_of(edge, edge // tree.slots)))
            node = int(node_behind(tree.child[edge]))
            if node < 0 or len(actions) >= plies:
                return tuple(actions)
            stats = tree.stats(torch.tensor([node], device=tree.child.device))
            if not bool(stats.visits.any()):
                return tuple(actions)
            slot = int(_expected_slot(stats))


def _expected_slot(stats: NodeStats) -> Tensor:
    """int64 `[1]`: the slot with the most visits, the prior deciding between equals: it is less than 1."""
    score = stats.visits + 0.5 * stats.prior
    return (score if stats.bounds is None else torch.where(inferior(stats), -1.0, score)).argmax(-1)
