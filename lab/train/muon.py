"""Muon: SGD with Nesterov momentum whose update of every weight matrix is orthogonalised (Jordan et al. 2024).

Source: K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse and J. Bernstein, "Muon: An optimizer for hidden
layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon. As in the source, biases, norms, embeddings
and output layers are trained by AdamW, or by SGD as in his airbench94_muon.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the steepest at 0 that keep singular values in [0.7, 1.2]
STEPS = 5


@torch.no_grad()
def orthogonalise(matrix: Tensor, steps: int = STEPS) -> Tensor:
    """Approximation of the nearest semi-orthogonal matrix: U S V^T -> U S' V^T with S' near 1 (0.7 to 1.2).

    matrix: [..., M, N], computed in float32. Division by the Frobenius norm makes every singular value at most 1; then
    come Newton-Schulz steps x <- a x + (b x x^T + c (x x^T)^2) x. Zeros stay zeros. With fewer than five steps small
    singular values stay below 0.7.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.float().mT if tall else matrix.float()  # the product over the smaller side is cheaper
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for groups with `orthogonal=True`: weights [out, in, ...], taken as matrices [out, in * ...].

    The update is scaled by sqrt(max(1, out / in)), as in the authors' code, so that the change of a layer's output
    does not depend on its shape. Weight decay is decoupled. All other groups are trained by AdamW with a learning rate
    of lr * adamw_fraction; or, if `sgd` is set, by SGD with Nesterov momentum with a learning rate of lr * fraction of
    the group, whose weight decay adds lr * weight_decay * parameter to the step of the gradient.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        adamw_fraction: float = 1.0,
        eps: float = 1e-8,
        steps: int = STEPS,
        normalise: bool = False,
        sgd: bool = False,
    ) -> None:
        """eps: added to the root of AdamW's second moment. steps: of Newton and Schulz. normalise: scale a matrix
        with n outputs to the Frobenius norm sqrt(n) before each step. sgd: in place of AdamW.
        """
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": betas,
            "eps": eps,
            "weight_decay": 0.0,
            "orthogonal": False,
        }
        # With "fused" torch loads AdamW's step counts onto the device of the parameters.
        super().__init__(groups, defaults | {"adamw_fraction": adamw_fraction, "fused": True})
        self._steps, self._normalise, self._sgd = steps, normalise, sgd

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step of every group; parameters without a gradient stay the same. `closure` is ignored."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["orthogonal"]:
                self._orthogonal_step(parameters, group)
            elif self._sgd:
                self._sgd_step(parameters, group)
            elif parameters:
                self._adamw_step(parameters, group)

    def _orthogonal_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            gradient = parameter.grad
            assert gradient is not None
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffer = state["momentum_buffer"].lerp_(gradient, 1.0 - group["momentum"])
            update = orthogonalise(gradient.lerp(buffer, group["momentum"]).flatten(1), self._steps)
            out, into = update.shape
            if self._normalise:
                parameter.mul_(out**0.5 / parameter.norm().clamp(min=1e-12))
            parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
            rate = group["lr"] * max(1.0, out / into) ** 0.5
            parameter.add_(update.reshape(parameter.shape).to(parameter.dtype), alpha=-rate)

    def _sgd_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            gradient = parameter.grad.add(parameter, alpha=group["weight_decay"] / group["fraction"])
            buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
            parameter.add_(gradient.add_(buffer, alpha=group["momentum"]), alpha=-group["lr"] * group["fraction"])

    def _adamw_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],  # type: ignore[misc]
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"] * group["adamw_fraction"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
