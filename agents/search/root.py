"""Input and output of a search, and the random numbers of its roots."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.games.game import select
from agents.search.node_states import History
from lab import rng


class Root(NamedTuple):
    """B positions to search, with K slots of actions each (see `agents.games.Game`).

    state: fields `[B, ...]`, the game's state or a learned model's.
    legal: bool `[B, K]`, slots with a legal action.
    logits: float32 `[B, K]`, the network's policy. Values of other slots are ignored.
    value: float32 `[B]`, the network's value for the player to move.
    game_id, ply: int64 `[B]`; with the seed they determine the random numbers of the search.
    actions: int64 `[B, K]`, the action of each slot, -1 for none; None where slot k is action k.
    history: what the states remember; None for nothing.
    """

    state: Any
    legal: Tensor
    logits: Tensor
    value: Tensor
    game_id: Tensor
    ply: Tensor
    actions: Tensor | None = None
    history: History | None = None

    def rows(self, index: Tensor) -> "Root":
        """The roots `index` int64 `[N]`."""

        def of(field: Tensor) -> Tensor:
            return field.index_select(0, index)

        return Root(
            state=select(self.state, index),
            legal=of(self.legal),
            logits=of(self.logits),
            value=of(self.value),
            game_id=of(self.game_id),
            ply=of(self.ply),
            actions=None if self.actions is None else of(self.actions),
            history=None if self.history is None else self.history._replace(plies=of(self.history.plies)),
        )

    def action_of(self, slot: Tensor) -> Tensor:
        """int64 `[B]`: the actions of slots `[B]`."""
        return slot if self.actions is None else self.actions.gather(1, slot[:, None])[:, 0]

    def action_numbers(self) -> Tensor:
        """int64 `[B, K]` or `[K]`, for all roots: the action of each slot, -1 for none."""
        if self.actions is not None:
            return self.actions
        return torch.arange(self.logits.shape[1], device=self.logits.device)

    def slot_actions(self) -> Tensor:
        """int64 `[B, K]`: the action of each slot, -1 for none."""
        return self.action_numbers().expand_as(self.logits)


class SearchResult(NamedTuple):
    """Decisions for B roots; arrays are over the K slots of the roots.

    action: int64 `[B]`, the move to play.
    policy: float32 `[B, K]`, the improved policy, which is the network's training target.
    value: float32 `[B]`, the root's value after search, for the player to move.
    visits: float32 `[B, K]`, visit counts; 0 for illegal actions.
    q: float32 `[B, K]`, mean returns; actions without visits have the estimated value of the root.
    actions: int64 `[B, K]`, the action of each slot, -1 for none.
    """

    action: Tensor
    policy: Tensor
    value: Tensor
    visits: Tensor
    q: Tensor
    actions: Tensor

    def over_actions(self, num_actions: int) -> "SearchResult":
        """The same with arrays `[B, A]` over all actions; without a slot policy and visits are 0 and q is NaN."""
        if self.policy.shape[1] == num_actions:
            return self
        policy, visits = (spread(values, self.actions, num_actions) for values in (self.policy, self.visits))
        q = spread(self.q, self.actions, num_actions, torch.nan)
        every = torch.arange(num_actions, device=self.actions.device).expand_as(policy)
        return SearchResult(self.action, policy, self.value, visits, q, every)


def spread(values: Tensor, actions: Tensor, num_actions: int, fill: float = 0.0) -> Tensor:
    """`[B, A]`: the values `[B, K]` of slots at their actions int64 `[B, K]` (-1 for none), elsewhere `fill`."""
    # Empty slots are written to one more column, which is cut off.
    dense = values.new_full((len(values), num_actions + 1), fill)
    return dense.scatter_(1, torch.where(actions < 0, num_actions, actions), values)[:, :num_actions].contiguous()


def gumbel_noise(root: Root, seed: int, stream: rng.Stream) -> Tensor:
    """float32 `[B, K]`: standard Gumbel samples, one per action."""
    return rng.gumbel(seed, int(stream), root.game_id[:, None], root.ply[:, None], root.action_numbers())


def per_row(temperature: Tensor | float) -> Tensor | float:
    """A number, or float32 `[B]` as `[B, 1]`."""
    return temperature[:, None] if isinstance(temperature, Tensor) else temperature
