"""Operations on lists of tensors in one launch, by private functions of torch; one by one where it lacks them."""

from collections.abc import Sequence

import torch
from torch import Tensor


def norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The L2 norm of each tensor."""
    if hasattr(torch, "_foreach_norm"):
        return list(torch._foreach_norm(list(tensors)))
    return [torch.linalg.vector_norm(tensor) for tensor in tensors]


def multiply_(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply each tensor by a 0-d tensor, in place."""
    if hasattr(torch, "_foreach_mul_"):
        torch._foreach_mul_(list(tensors), factor)
        return
    for tensor in tensors:
        tensor.mul_(factor)


def lerp_(tensors: Sequence[Tensor], ends: Sequence[Tensor], weight: float) -> None:
    """Move each tensor to its end by `weight` of the distance, in place."""
    if hasattr(torch, "_foreach_lerp_"):
        torch._foreach_lerp_(list(tensors), list(ends), weight)
        return
    for tensor, end in zip(tensors, ends, strict=True):
        tensor.lerp_(end, weight)


def copy_(tensors: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source into its tensor."""
    if hasattr(torch, "_foreach_copy_"):
        torch._foreach_copy_(list(tensors), list(sources))
        return
    for tensor, source in zip(tensors, sources, strict=True):
        tensor.copy_(source)
