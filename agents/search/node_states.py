"""Game states of the nodes of search trees; what a game remembers is stored once per root and along the paths."""

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor


class History(NamedTuple):
    """What the states of B roots remember (see `agents.games.Game`).

    fields: names of the state's fields of shape [B, T, ...], rings of entries. plies: int64 `[B]`, of the roots.
    """

    fields: Sequence[str]
    plies: Tensor


class NodeStates:
    """States of M * B nodes in the order of `agents.search.tree`, written in place.

    A history field takes one entry per node. The ring of a node is that of its root with the entries of the nodes on
    the path to it.

    fields: [M * B, ...]; a history field without the dimension T.
    """

    def __init__(self, roots: Any, history: History | None, nodes: int) -> None:
        """Room for `nodes` states; roots: fields [B, ...]."""
        self._roots = roots
        rings = () if history is None else history.fields
        self._is_ring = [name in rings for name in roots._fields] if rings else [False] * len(roots)
        self._plies = None if history is None or not rings else history.plies.new_zeros(nodes)
        self.fields = type(roots)(
            *(
                field.new_zeros((nodes, *field.shape[2 if ring else 1 :]))
                for field, ring in zip(roots, self._is_ring, strict=True)
            )
        )
        self.write(slice(0, len(roots[0])), roots, None if history is None else history.plies)

    def extended(self, nodes: int) -> "NodeStates":
        """The same states with room for `nodes` of them."""
        longer = copy(self)
        room = [field.new_zeros((nodes, *field.shape[1:])) for field in self.fields]
        for new, field in zip(room, self.fields, strict=True):
            new[: len(field)] = field
        longer.fields = type(self.fields)(*room)
        if self._plies is not None:
            longer._plies = self._plies.new_zeros(nodes)
            longer._plies[: len(self._plies)] = self._plies
        return longer

    def stored_with(self, other: "NodeStates") -> list[tuple[Tensor, Tensor]]:
        """The tensors of all nodes, each with that of `other`, the states of the same game."""
        pairs = list(zip(self.fields, other.fields, strict=True))
        if self._plies is not None and other._plies is not None:
            pairs.append((self._plies, other._plies))
        return pairs

    @property
    def nbytes(self) -> int:
        """Bytes of all nodes, without the rings of the roots."""
        return sum(field.nbytes for field in self.fields) + (0 if self._plies is None else self._plies.nbytes)

    @property
    def has_history(self) -> bool:
        """Whether `read` needs the paths."""
        return self._plies is not None

    def write(self, block: slice, states: Any, plies: Tensor | None) -> None:
        """Write the states of a block of B nodes; plies: int64 `[B]`, of the new states, None without history."""
        if self._plies is not None:
            assert plies is not None
            self._plies[block] = plies
            rows = torch.arange(len(plies), device=plies.device)
        for stored, new, ring in zip(self.fields, states, self._is_ring, strict=True):
            stored[block] = new[rows, plies % new.shape[1]] if ring else new

    def plies(self, nodes: Tensor) -> Tensor | None:
        """int64 `[B]`: plies of nodes, None without history."""
        return None if self._plies is None else self._plies.index_select(0, nodes)

    def read(self, nodes: Tensor, path: Tensor) -> Any:
        """States of nodes `[B]`; path: nodes `[depth, B]` from the roots to them, where nodes may be repeated."""
        fields = [
            self._ring(root, stored, nodes, path) if ring else stored.index_select(0, nodes)
            for root, stored, ring in zip(self._roots, self.fields, self._is_ring, strict=True)
        ]
        return type(self._roots)(*fields)

    def _ring(self, root: Tensor, stored: Tensor, nodes: Tensor, path: Tensor) -> Tensor:
        """`[B, T, ...]`: the root's ring with the entries of the nodes on the path."""
        assert self._plies is not None
        size = root.shape[1]
        # An entry that a later one has replaced is written as the last one, so that all writes to a place are equal.
        kept = self._plies[path] > self._plies[nodes] - size
        path = torch.where(kept, path, nodes)
        ring = root.clone()
        ring[torch.arange(len(nodes), device=nodes.device).expand_as(path), self._plies[path] % size] = stored[path]
        return ring
