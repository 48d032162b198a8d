"""Leaky ReLU in closed form, and when torch's own operations are as good."""

import torch
from torch import Tensor

LEAK = 0.2
Gradients = tuple[Tensor | None, ...]
leaky_backward = torch.ops.aten.leaky_relu_backward
"""(gradient, y, LEAK, True): the gradient of the input from that of the result y."""


def is_plain() -> bool:
    """Whether the operations of torch are as good: nothing will be differentiated, or a compiler fuses them."""
    return not torch.is_grad_enabled() or torch.compiler.is_compiling()


def to_float(x: Tensor | None) -> Tensor | None:
    """float32 in place of a dtype of less precision."""
    return x.float() if x is not None and x.element_size() < 4 else x
