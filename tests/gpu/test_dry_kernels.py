"""Triton kernels of the search: they compile for GPUs that are not here, and equal torch's operations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu_dry

ROOT = Path(__file__).resolve().parents[2]
TYPES = {
    "first": "*i64",
    "child": "*i64",
    "choice": "*i64",
    "path": "*i64",
    "leaf_value": "*fp32",
    "reward": "*fp32",
    "discount": "*fp32",
    "visits": "*fp32",
    "value_sum": "*fp32",
    "batch": "i32",
    "depth": "i32",
    "ROWS": "constexpr",
}


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("name", ["descend_kernel", "back_up_kernel"])
def test_a_kernel_compiles(name: str, capability: int) -> None:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from agents.search import triton_kernels

    kernel = getattr(triton_kernels, name)
    source = ASTSource(
        fn=kernel,
        signature={argument: TYPES[argument] for argument in kernel.arg_names},
        constexprs={"ROWS": triton_kernels.ROWS},
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert f"sm_{capability}" in compiled.asm["ptx"]
    assert compiled.asm["cubin"]


INTERPRETED = """
import torch
from agents.search import triton_kernels, simulation as trees
from tests.gpu.random_trees import random_tree

for seed in range(4):
    batch, depth = 1 + 67 * seed, 1 + 4 * seed
    mine, reference = random_tree(batch, depth, seed), random_tree(batch, depth, seed)
    first = torch.arange(batch) * mine.slots + seed % mine.slots
    path = triton_kernels.descend(mine, first, depth)
    expected = trees.descend_fixed_length(reference, first, depth - 1)
    assert torch.equal(path, expected), (path, expected)
    value = torch.rand(batch, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    triton_kernels.back_up(mine, path, value)
    trees._back_up(reference, expected, value)
    assert torch.equal(mine.visits, reference.visits)
    assert torch.equal(mine.value_sum, reference.value_sum)
    assert mine.visits.sum() > 0
"""


def test_the_interpreter_equals_the_reference() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
