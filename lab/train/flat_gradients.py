"""Gradients of a small network as one vector, which saves torch's bookkeeping for every tensor."""

from __future__ import annotations

import torch


class FlatGradients:
    """The gradients of an optimizer's parameters as views of one vector, which stay where they are between steps."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        first = self._parameters[0]
        self.vector = first.new_zeros(sum(parameter.numel() for parameter in self._parameters))
        """All gradients, in the order of the optimizer's parameters."""
        sizes = [parameter.numel() for parameter in self._parameters]
        pieces = self.vector.detach().split(sizes)
        self._views = [piece.view_as(own) for piece, own in zip(pieces, self._parameters, strict=True)]

    def clear(self) -> None:
        """Set all gradients to zero; backward passes then add to them in place."""
        self.vector.zero_()
        for parameter, view in zip(self._parameters, self._views, strict=True):
            parameter.grad = view
