"""The rules of a game as the dynamics of a search; a network evaluates the leaves in batches."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.games.game import Game, select
from agents.games.line_game import LineGame
from agents.search.cache import Evaluate, EvaluationCache
from agents.search.node_states import History
from agents.search.root import Root
from agents.search.tree import ILLEGAL, Leaf
from lab.files.plain import is_count


class LeafCounts(NamedTuple):
    """Numbers of leaves by evaluation. evaluated + ended + repeated = simulations + root evaluations.

    evaluated: by the network. ended: the game was over, also in repeated visits. repeated: found in the evaluation
    cache, or equal to another row of the same batch. batches: calls of the network. roots: positions searched, which in
    self-play are moves.
    """

    evaluated: int = 0
    ended: int = 0
    repeated: int = 0
    batches: int = 0
    roots: int = 0

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "LeafCounts":
        """Counts from `_asdict`. Raises ValueError or TypeError for anything else."""
        counts = cls(**state)
        if not all(is_count(count) for count in counts):
            raise ValueError("a number of leaves is damaged")
        return counts

    def since(self, earlier: "LeafCounts") -> "LeafCounts":
        return LeafCounts(*(now - then for now, then in zip(self, earlier, strict=True)))

    @property
    def leaves(self) -> int:
        return self.evaluated + self.ended + self.repeated


def total(counts: Iterable[LeafCounts]) -> LeafCounts:
    """The sum of counts."""
    return LeafCounts(*map(sum, zip(*counts, strict=True)))


class Successors(NamedTuple):
    """Successors of B states.

    states: fields `[B, ...]`.
    reward: float32 `[B]`, for the player who moved.
    discount: float32 `[B]`, factor of the successor's value for the player who moved: negative where the other player
    moves next, 0 where the game is over, else of absolute value 1 or the search's discount.
    ended: bool `[B]`.
    """

    states: Any
    reward: Tensor
    discount: Tensor
    ended: Tensor


def advance(game: Game, state: Any, action: Tensor, discount: float = 1.0) -> Successors:
    """The states after `action` int64 `[B]`; discount: factor of a value for each ply that it is away."""
    if isinstance(game, LineGame) and (compiled := game.successors(state, action, discount)) is not None:
        return Successors(*compiled)
    mover = game.player(state)
    after = game.step(state, action)
    ended = game.done(after)
    reward = game.reward(after).gather(1, mover[:, None])[:, 0]
    factor = torch.where(game.player(after) == mover, discount, -discount) * ~ended
    return Successors(after, reward, factor, ended)


def slot_actions(game: Game, states: Any) -> Tensor | None:
    """int64 `[B, K]`: the action of each slot, -1 for none; None where slot k is action k."""
    return None if game.num_slots == game.num_actions else game.legal_actions(states)


def legal_slots(game: Game, states: Any, actions: Tensor | None) -> Tensor:
    """bool `[B, K]`: slots with a legal action; actions: those of `slot_actions`."""
    return game.legal(states) if actions is None else actions >= 0


def history_of(game: Game, states: Any) -> History | None:
    """What the states remember; None for a game that remembers nothing."""
    return History(game.history, game.plies(states)) if game.history else None


class Evaluation(NamedTuple):
    """Evaluations of B states.

    logits: float32 `[B, K]`, ILLEGAL at illegal actions and empty slots; value: float32 `[B]`. Rows that were not
    wanted hold any finite numbers.
    actions: int64 `[B, K]`, the action of each slot, -1 for none; None where slot k is action k.
    """

    logits: Tensor
    value: Tensor
    actions: Tensor | None


class GameDynamics:
    """Steps a game and evaluates the new positions.

    fixed_shapes: the network evaluates full batches and nothing waits for the device, for a GPU. Otherwise it evaluates
    only wanted rows, with a cache only those that are not in it.
    discount: as in `advance`.
    """

    def __init__(
        self,
        game: Game,
        evaluate: Evaluate,
        *,
        cache: EvaluationCache | None = None,
        fixed_shapes: bool = False,
        discount: float = 1.0,
    ) -> None:
        if fixed_shapes and cache is not None:
            raise ValueError("with a cache batches vary in size; omit cache or fixed_shapes")
        self.game = game
        self.evaluate = evaluate
        self.discount = discount
        self.cache = cache
        self.fixed_shapes = fixed_shapes
        self._counted = LeafCounts()
        # With fixed_shapes, int64 [3] on the device: rows wanted, rows and batches since `_counted` was set. A replayed
        # CUDA graph counts as well.
        self._on_device: Tensor | None = None

    @property
    def counts(self) -> LeafCounts:
        """Leaves so far. With `fixed_shapes` this waits for the device."""
        if self._on_device is None:
            return self._counted
        wanted, rows, batches = self._on_device.tolist()
        before = self._counted
        return LeafCounts(
            before.evaluated + wanted, before.ended + rows - wanted, before.repeated, before.batches + batches
        )

    @counts.setter
    def counts(self, counts: LeafCounts) -> None:
        self._counted = counts
        if self._on_device is not None:
            self._on_device.zero_()

    def __call__(self, state: Any, action: Tensor, wanted: Tensor) -> Leaf:
        """Successors and evaluations of B edges; wanted: bool `[B]` (see `agents.search.simulation.Dynamics`)."""
        after = advance(self.game, state, action, self.discount)
        return Leaf(*after, *self.evaluate_states(after.states, wanted & ~after.ended))

    def root(self, states: Any, *, game_id: Tensor, ply: Tensor) -> Root:
        """Roots of B states with the network's evaluations; game_id and ply: int64 `[B]`."""
        logits, value, actions = self.evaluate_states(states, torch.ones_like(game_id, dtype=torch.bool))
        self._counted = self._counted._replace(roots=self._counted.roots + len(game_id))
        legal = legal_slots(self.game, states, actions)
        return Root(states, legal, logits, value, game_id, ply, actions, history_of(self.game, states))

    def evaluate_states(self, states: Any, wanted: Tensor) -> Evaluation:
        """Evaluations of B states, at least of the rows in `wanted` bool `[B]`."""
        actions = slot_actions(self.game, states)
        if self.fixed_shapes:
            self._count_on_device(wanted)
            logits, value = self._evaluate(states, actions)
        elif self.cache is not None:
            logits, value = self._with_cache(self.cache, states, actions, wanted)
        else:
            logits, value = self._only_wanted(states, actions, wanted)
        return Evaluation(torch.where(legal_slots(self.game, states, actions), logits, ILLEGAL), value, actions)

    def _evaluate(self, states: Any, actions: Tensor | None) -> tuple[Tensor, Tensor]:
        """The network's logits `[N, K]`, of any value in empty slots, and values `[N]`."""
        logits, value = self.evaluate(self.game.observe(states))
        return (logits if actions is None else logits.gather(1, actions.clamp_min(0))), value

    def _rows(self, states: Any, actions: Tensor | None, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self._evaluate(select(states, rows), None if actions is None else actions.index_select(0, rows))

    def _only_wanted(self, states: Any, actions: Tensor | None, wanted: Tensor) -> tuple[Tensor, Tensor]:
        rows = wanted.nonzero()[:, 0]
        self._count(len(rows), len(wanted) - len(rows), 0)
        if len(rows) == len(wanted):
            return self._evaluate(states, actions)
        logits = torch.zeros(len(wanted), self.game.num_slots, device=wanted.device)
        value = torch.zeros(len(wanted), device=wanted.device)
        if len(rows):
            logits[rows], value[rows] = self._rows(states, actions, rows)
        return logits, value

    def _with_cache(
        self, cache: EvaluationCache, states: Any, actions: Tensor | None, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        keys = self.game.key(states)
        found = cache.lookup(keys, wanted)
        count = int(wanted.sum())
        self._count(len(found.missing), len(wanted) - count, count - len(found.missing))
        if len(found.missing):
            cache.complete(found, keys, *self._rows(states, actions, found.missing))
        return found.logits, found.value

    def _count_on_device(self, wanted: Tensor) -> None:
        if self._on_device is None:
            self._on_device = torch.zeros(3, dtype=torch.int64, device=wanted.device)
        self._on_device[0].add_(wanted.sum())
        self._on_device[1].add_(len(wanted))
        self._on_device[2].add_(1)

    def _count(self, evaluated: int, ended: int, repeated: int) -> None:
        before = self._counted
        self._counted = before._replace(
            evaluated=before.evaluated + evaluated,
            ended=before.ended + ended,
            repeated=before.repeated + repeated,
            batches=before.batches + int(evaluated > 0),
        )
