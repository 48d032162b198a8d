"""Adam's step without torch's bookkeeping, which on small networks takes longer than the arithmetic.

torch collects the parameters in every step, counts steps tensor by tensor, and looks for hooks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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


class _Moments(NamedTuple):
    """The parameters of one group that have gradients, and their states. steps: one tensor for each parameter, of
    which those in `distinct` are different.
    """

    active: list[bool]
    parameters: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]
    steps: list[Tensor]
    distinct: list[Tensor]


class FusedAdam:
    """Steps of an optimizer: the same numbers as `optimizer.step()`, which is called where it is no fused Adam."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._kernel = _kernel_of(optimizer)
        self._moments: list[_Moments] | None = None

    def forget(self) -> None:
        """Look at the optimizer's state anew: another one was loaded."""
        self._moments = None

    @torch.no_grad()
    def step(self) -> None:
        """One step of all parameters that have gradients."""
        groups = self._optimizer.param_groups
        active = [[parameter.grad is not None for parameter in group["params"]] for group in groups]
        if self._moments is None or active != [one.active for one in self._moments]:
            self._moments = None if self._kernel is None else self._gathered(active)
        if self._moments is None:
            self._separate_steps()
            self._optimizer.step()
            return
        for group, moments in zip(groups, self._moments, strict=True):
            if not moments.parameters:
                continue
            for count in moments.distinct:
                count += 1
            self._kernel(
                moments.parameters,
                [parameter.grad for parameter in moments.parameters],
                moments.first,
                moments.second,
                [],
                moments.steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _gathered(self, active: list[list[bool]]) -> list[_Moments] | None:
        """The states of all groups; None where a parameter has none yet.

        Parameters of equal numbers of steps share the tensor of that number. It is a new one: others, whose number
        stays, may have shared it before.
        """
        chosen = [
            [parameter for parameter, one in zip(group["params"], mask, strict=True) if one]
            for group, mask in zip(self._optimizer.param_groups, active, strict=True)
        ]
        known = self._optimizer.state
        if not all("step" in known.get(parameter, {}) for parameters in chosen for parameter in parameters):
            return None
        found: list[_Moments] = []
        for parameters, mask in zip(chosen, active, strict=True):
            states = [known[parameter] for parameter in parameters]
            distinct: dict[float, Tensor] = {}
            for state in states:
                state["step"] = distinct.setdefault(float(state["step"]), state["step"].clone())
            first, second = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
            steps = [state["step"] for state in states]
            found.append(_Moments(mask, parameters, first, second, steps, list(distinct.values())))
        return found

    def _separate_steps(self) -> None:
        """Give each parameter a tensor of its own for its number of steps, as torch's step counts each."""
        if self._kernel is not None:
            for state in self._optimizer.state.values():
                if "step" in state:
                    state["step"] = state["step"].clone()


def _kernel_of(optimizer: torch.optim.Optimizer) -> Any:
    """The function that takes a step of all parameters; None where torch has none, or has one of other arguments."""
    name = _KERNELS.get(type(optimizer), "")
    schemas = [] if not hasattr(torch, name) else [getattr(torch.ops.aten, name).default._schema]
    if [argument.name for schema in schemas for argument in schema.arguments] != _ARGUMENTS:
        return None
    return getattr(torch, name)
