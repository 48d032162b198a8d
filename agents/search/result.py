"""What a search hands back."""

from typing import NamedTuple

from torch import Tensor


class SearchResult(NamedTuple):
    """One decision for each of B roots.

    action: int64 [B], the move to play. policy: float32 [B, A], the improved policy that the network learns.
    value: float32 [B], the root's value after search, from the mover's point of view.
    visits: float32 [B, A] and q: float32 [B, A], simulations through each action and their mean return;
    q is completed with the root's own estimate where there were none, and illegal actions have no visits.
    """

    action: Tensor
    policy: Tensor
    value: Tensor
    visits: Tensor
    q: Tensor
