"""Input and output of a search."""

from typing import Any, NamedTuple

from torch import Tensor


class Root(NamedTuple):
    """B positions to search.

    state: fields `[B, ...]`, the game's state or a learned model's.
    legal: bool `[B, A]`.
    logits: float32 `[B, A]`, the network's policy. Values of illegal actions are ignored.
    value: float32 `[B]`, the network's value for the player to move.
    game_id, ply: int64 `[B]`. Together with the seed they determine the search's random numbers.
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
    q: float32 `[B, A]`, mean returns; actions without visits have the root's own estimate.
    """

    action: Tensor
    policy: Tensor
    value: Tensor
    visits: Tensor
    q: Tensor
