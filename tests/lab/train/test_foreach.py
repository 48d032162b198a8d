"""Private operations of torch and what replaces them compute the same."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lab.train import foreach


def tensors(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((3, 4), (5,), (), (2, 1, 2))]


def scaled(values: list[Tensor]) -> None:
    foreach.multiply_(values, torch.tensor(0.3))


def blended(values: list[Tensor]) -> None:
    foreach.lerp_(values, tensors(7), 0.1)


def copied(values: list[Tensor]) -> None:
    foreach.copy_(values, tensors(7))


def measured(values: list[Tensor]) -> None:
    values[:] = foreach.norms(values)


@pytest.mark.parametrize("operation", [scaled, blended, copied, measured])
def test_a_torch_without_the_private_operation_computes_the_same(
    operation: Callable[[list[Tensor]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tensors(1), tensors(1)
    operation(one)
    for name in ("_foreach_norm", "_foreach_mul_", "_foreach_lerp_", "_foreach_copy_"):
        monkeypatch.delattr(torch, name)
    operation(other)
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    assert any(not torch.equal(*pair) for pair in zip(one, tensors(1), strict=True))
