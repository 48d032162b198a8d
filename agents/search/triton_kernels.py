"""Triton kernels of a simulation's descent and backup: one launch each instead of several for every level.

One lane of a program follows the path of one tree. A tree owns its edges and a path passes an edge once, so that no
addition needs an atomic operation and results do not depend on the order of lanes. Triton comes with CUDA builds of
torch; without it `descend` and `back_up` must not be called.
"""

from typing import Any

from torch import Tensor

__all__ = ["ROWS", "back_up", "descend", "triton"]

try:
    import triton
    import triton.language as tl
except ImportError:  # torch's builds for a CPU
    triton = None

ROWS = 128  # trees of a program

if triton is not None:

    @triton.jit
    def descend_kernel(first, child, choice, path, batch, depth, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]
        """first `[B]`, child and choice of a `Tree` -> path `[depth, B]`, all int64."""
        row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        ours = row < batch
        edge = tl.load(first + row, mask=ours, other=0)
        tl.store(path + row, edge, mask=ours)
        for level in range(1, depth):
            node = tl.load(child + edge, mask=ours, other=-1)
            inside = ours & (node >= 0)
            edge = tl.where(inside, tl.load(choice + node, mask=inside, other=0), edge)
            tl.store(path + level * batch + row, edge, mask=ours)

    @triton.jit
    def back_up_kernel(  # type: ignore[no-untyped-def]
        path, leaf_value, reward, discount, visits, value_sum, batch, depth, ROWS: tl.constexpr
    ):
        """path int64 `[depth, B]`, leaf_value `[B]`, the other arrays of a `Tree`; adds to visits and value_sum."""
        row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        ours = row < batch
        value = tl.load(leaf_value + row, mask=ours, other=0.0)
        for step in range(depth):
            level = depth - 1 - step
            edge = tl.load(path + level * batch + row, mask=ours, other=0)
            above = tl.load(path + tl.maximum(level - 1, 0) * batch + row, mask=ours, other=0)
            # A row that has reached its leaf repeats the last edge.
            counted = ours & ((edge != above) | (level == 0))
            value = tl.load(reward + edge, mask=counted, other=0.0) + value * tl.load(
                discount + edge, mask=counted, other=1.0
            )
            tl.store(value_sum + edge, tl.load(value_sum + edge, mask=counted, other=0.0) + value, mask=counted)
            tl.store(visits + edge, tl.load(visits + edge, mask=counted, other=0.0) + 1.0, mask=counted)


def descend(tree: Any, first: Tensor, depth: int) -> Tensor:
    """int64 `[depth, B]`: the result of `agents.search.simulation.descend_fixed_length`."""
    path = first.new_empty((depth, tree.batch))
    descend_kernel[_grid(tree.batch)](first, tree.child, tree.choice, path, tree.batch, depth, ROWS=ROWS)
    return path


def back_up(tree: Any, path: Tensor, leaf_value: Tensor) -> None:
    """Add the leaves' returns `[B]` along paths int64 `[depth, B]`, in the tree's visits and value sums."""
    arrays = (tree.reward, tree.discount, tree.visits, tree.value_sum)
    back_up_kernel[_grid(tree.batch)](path, leaf_value.contiguous(), *arrays, tree.batch, len(path), ROWS=ROWS)


def _grid(batch: int) -> tuple[int]:
    return ((batch + ROWS - 1) // ROWS,)
