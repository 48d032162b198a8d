"""Gradients of a small network as one vector, and Adam's step without torch's bookkeeping.

On networks of a few thousand parameters the arithmetic of a step takes less time than what torch does around it: it
collects parameters, counts steps tensor by tensor, and looks for hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_KERNELS = {torch.optim.Adam: "_fused_adam_", torch.optim.AdamW: "_fused_adamw_"}
"""Private functions of torch that its own fused optimizers call."""
_ARGUMENTS = [
    *("self", "grads", "exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs", "state_steps"),
    *("lr", "beta1", "beta2", "weight_decay", "eps", "amsgrad", "maximize"),
    *("grad_scale", "found_inf"),
]
"""Their arguments in the versions of torch that this was written for; with others torch's own step is taken."""


class FlatGradients:
    """The gradients of an optimizer's parameters as views of one vector, which stay where they are between steps."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        first = self._parameters[0]
        self.vector = first.new_zeros(sum(parameter.numel() for parameter in self._parameters))
        """All gradients, in the order of the optimizer's parameters."""
        sizes = [parameter.numel() for parameter in self._parameters]
        pieces = self.vector.detach().split(sizes)
        self._views = [piece.view_as(own) for piece, own in zip(pieces, self._parameters, strict=True)]
        self._kernel = _kernel_of(optimizer)
        self._steps: Tensor | None = None
        """Adam's number of steps, one tensor for all parameters, once the optimizer has moments."""

    def clear(self) -> None:
        """Set all gradients to zero; backward passes then add to them in place."""
        self.vector.zero_()
        for parameter, view in zip(self._parameters, self._views, strict=True):
            parameter.grad = view

    def forget(self) -> None:
        """Look at the optimizer's state anew: another one was loaded."""
        self._steps = None

    @torch.no_grad()
    def step(self) -> None:
        """One step of the optimizer: the same numbers as `optimizer.step()`."""
        if self._kernel is None or self._shared_steps() is None:
            self._optimizer.step()
            return
        assert self._steps is not None
        self._steps += 1
        for group in self._optimizer.param_groups:
            parameters = group["params"]
            if not parameters:
                continue
            states = [self._optimizer.state[parameter] for parameter in parameters]
            self._kernel(
                parameters,
                [parameter.grad for parameter in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [self._steps] * len(parameters),
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _shared_steps(self) -> Tensor | None:
        """The number of steps as one tensor that all states hold; None where they have none or differ."""
        if self._steps is not None:
            return self._steps
        states: list[Mapping[str, Any]] = [self._optimizer.state.get(parameter, {}) for parameter in self._parameters]
        if not all("step" in state for state in states):
            return None
        if len({float(state["step"]) for state in states}) == 1:
            self._steps = states[0]["step"].clone()
            for state in states:
                state["step"] = self._steps  # type: ignore[index]
        return self._steps


def _kernel_of(optimizer: torch.optim.Optimizer) -> Any:
    """The function that takes a step of all parameters; None where torch has none, or has one of other arguments."""
    name = _KERNELS.get(type(optimizer), "")
    schemas = [] if not hasattr(torch, name) else [getattr(torch.ops.aten, name).default._schema]
    if [argument.name for schema in schemas for argument in schema.arguments] != _ARGUMENTS:
        return None
    return getattr(torch, name)
