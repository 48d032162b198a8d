"""How the networks of a GAN descend: Adam, its learning rate, and the length of a gradient."""

import torch
from torch import Tensor, nn


def adam(net: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Fused, for all parameters of a network."""
    return torch.optim.Adam(net.parameters(), rate, betas, eps=1e-8, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of all parameters from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def norm(tensors: list[Tensor]) -> Tensor:
    """Of all values together, 0-d on the device."""
    return torch.stack(torch._foreach_norm(tensors)).norm()
