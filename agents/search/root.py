"""Input and output of a search, and the random numbers of its roots."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lab import rng


class Root(NamedTuple):
    """B positions to search.

    state: fields `[B, ...]`, the game's state or a learned model's.
    legal: bool `[B, A]`.
    logits: float32 `[B, A]`, the network's policy. Values of illegal actions are ignored.
    value: float32 `[B]`, the network's value for the player to move.
    game_id, ply: int64 `[B]`; with the seed they determine the random numbers of the search.
    """

    state: Any
    legal: Tensor
    logits: Tensor
    value: Tensor
    game_id: Tensor
    ply: Tensor


class SearchResult(NamedTuple):
    """Decisions for B roots.

    action: int64 `[B]`, the move to play.
    policy: float32 `[B, A]`, the improved policy, which is the network's training target.
    value: float32 `[B]`, the root's value after search, for the player to move.
    visits: float32 `[B, A]`, visit counts; 0 for illegal actions.
    q: float32 `[B, A]`, mean returns; actions without visits have the estimated value of the root.
    """

    action: Tensor
    policy: Tensor
    value: Tensor
    visits: Tensor
    q: Tensor


def gumbel_noise(root: Root, seed: int, stream: rng.Stream) -> Tensor:
    """float32 `[B, A]`: standard Gumbel samples, one per action."""
    actions = torch.arange(root.logits.shape[1], device=root.logits.device)
    return rng.gumbel(seed, int(stream), root.game_id[:, None], root.ply[:, None], actions)


def per_row(temperature: Tensor | float) -> Tensor | float:
    """A number, or float32 `[B]` as `[B, 1]`."""
    return temperature[:, None] if isinstance(temperature, Tensor) else temperature
