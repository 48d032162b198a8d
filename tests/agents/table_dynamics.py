"""Small worlds given by tables, as the dynamics of a search: every number is the test's own choice."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.search import Root
from agents.search.tree import Leaf

ILLEGAL = torch.finfo(torch.float32).min


class TableState(NamedTuple):
    """at: int64 [B], which of the S states each board is in."""

    at: Tensor


@dataclass(frozen=True)
class Tables:
    """A world of S states with A actions each; called, it is the dynamics of a search.

    logits [S, A] (illegal actions at the smallest float) and value [S] are what a network would say;
    successor int64 [S, A]; reward [S, A], discount [S, A] and ended bool [S, A] belong to the step.
    """

    logits: Tensor
    value: Tensor
    successor: Tensor
    reward: Tensor
    discount: Tensor
    ended: Tensor

    def __call__(self, state: TableState, action: Tensor, wanted: Tensor) -> Leaf:
        edge = (state.at, action)
        after = self.successor[edge]
        return Leaf(
            TableState(after),
            self.reward[edge],
            self.discount[edge],
            self.ended[edge],
            self.logits[after],
            self.value[after],
        )

    def root(self, index: Tensor, game_id: Tensor | None = None, ply: Tensor | None = None) -> Root:
        """The states int64 [B] as roots; game ids and plies count the rows unless given."""
        rows = torch.arange(len(index))
        return Root(
            TableState(index),
            self.legal(index),
            self.logits[index],
            self.value[index],
            rows if game_id is None else game_id,
            rows if ply is None else ply,
        )

    def legal(self, index: Tensor) -> Tensor:
        """bool [B, A] for states int64 [B]."""
        return self.logits[index] > ILLEGAL


def tables(
    logits: list[list[float]],
    value: list[float],
    successor: list[list[int]],
    reward: list[list[float]] | None = None,
    discount: float | list[list[float]] = -1.0,
    ended: list[list[bool]] | None = None,
) -> Tables:
    """A world written out by hand; by default no rewards, turns alternate and nothing ends.

    Steps that end lose their discount.
    """
    prior = torch.tensor(logits)
    over = torch.zeros_like(prior, dtype=torch.bool) if ended is None else torch.tensor(ended)
    factor = torch.full_like(prior, discount) if isinstance(discount, float) else torch.tensor(discount)
    return Tables(
        logits=prior,
        value=torch.tensor(value),
        successor=torch.tensor(successor),
        reward=torch.zeros_like(prior) if reward is None else torch.tensor(reward),
        discount=factor * ~over,
        ended=over,
    )


def random_tables(
    seed: int, states: int, actions: int, ended: float = 0.15, illegal: float = 0.2, general: bool = False
) -> Tables:
    """A random world; `ended` and `illegal` are shares of its steps.

    Two players alternate and only the end is rewarded, by -1, 0 or 1. With `general`, as a learned model
    might say, every step has a reward and any discount.
    """
    rng = np.random.default_rng(seed)
    shape = (states, actions)
    legal = rng.random(shape) >= illegal
    legal[np.arange(states), rng.integers(actions, size=states)] = True
    over = rng.random(shape) < ended
    reward = np.where(over, rng.integers(-1, 2, size=shape).astype(np.float64), 0.0)
    discount = np.full(shape, -1.0)
    if general:
        reward = rng.normal(size=shape)
        discount = rng.choice([-1.0, -0.9, 0.7, 1.0], size=shape)
    return Tables(
        logits=torch.tensor(np.where(legal, rng.normal(size=shape), ILLEGAL), dtype=torch.float32),
        value=torch.tensor(rng.uniform(-1, 1, size=states), dtype=torch.float32),
        successor=torch.tensor(rng.integers(states, size=shape)),
        reward=torch.tensor(reward, dtype=torch.float32),
        discount=torch.tensor(np.where(over, 0.0, discount), dtype=torch.float32),
        ended=torch.tensor(over),
    )
