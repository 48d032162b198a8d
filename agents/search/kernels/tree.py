"""Kernels of descent, choice, expansion and backup, over the arrays of `agents.search.tree.Tree`.

They repeat the tensor form operation by operation in float32, sums in torch's order, so that visits and values are
equal bit for bit. Only `exp` is rounded on its own: torch's differs from the nearest float32 in 1% of its results.
An interior choice is computed when a descent comes to its node, not when the statistics change: the statistics are the
same, and most leaves are never visited again.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from lab.jit import kernel

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

_UNEXPANDED, _ENDED = -1, -2
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_TINY = np.float32(np.finfo(np.float32).tiny)
_LOWEST = np.float32(np.finfo(np.float32).min)
_NEVER = np.float32(-np.inf)
_LEAST_RANGE = np.float32(1e-8)
_LEAST_SCORE = np.float32(-1e9)
_LANES, _WAYS = 8, 4  # torch sums rows of contiguous floats in 4 accumulators of 8 lanes


@intrinsic
def _fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once, as `torch.addcmul` does."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), build


@kernel
def _row_sum(x: Floats, count: int, lanes: Floats) -> np.float32:
    """The sum of x[:count] in the order of `Tensor.sum(-1)`, for fewer than 512 elements.

    lanes: float32 [32], overwritten.
    """
    total = _ZERO
    if count < _LANES:
        if count < _WAYS:
            for k in range(count):
                total += x[k]
            return total
        total = x[0]
        for k in range(_WAYS, count):
            total += x[k]
        return total + x[1] + x[2] + x[3]
    vectors = count // _LANES
    whole = vectors // _WAYS * _WAYS
    lanes[:] = _ZERO
    for first in range(0, whole * _LANES, _LANES * _WAYS):
        for lane in range(_LANES * _WAYS):
            lanes[lane] += x[first + lane]
    for vector in range(whole, vectors):
        for lane in range(_LANES):
            lanes[lane] += x[vector * _LANES + lane]
    for way in range(1, _WAYS):
        for lane in range(_LANES):
            lanes[lane] += lanes[way * _LANES + lane]
    for k in range(vectors * _LANES, count):
        total += x[k]
    for lane in range(_LANES):
        total += lanes[lane]
    return total


@kernel
def _completed_q(
    node: int, slots: int, total: np.float32, arrays: tuple[Floats, ...], q: Floats, products: Floats, lanes: Floats
) -> None:
    """`agents.search.completed_q.completed_q` of a node with `total` visits, into q [K]. products: [K], overwritten."""
    visits, value_sum, _, prior, value = arrays
    first = node * slots
    for k in range(slots):
        seen = visits[first + k]
        q[k] = value_sum[first + k] / max(seen, _ONE)
        products[k] = max(prior[first + k], _TINY) if seen > _ZERO else _ZERO
    weight = max(_row_sum(products, slots, lanes), _TINY)
    for k in range(slots):
        products[k] *= q[k]
    mixed = (value[node] + total * (_row_sum(products, slots, lanes) / weight)) / (total + _ONE)
    for k in range(slots):
        if visits[first + k] == _ZERO:
            q[k] = mixed


@kernel
def _transform(q: Floats, slots: int, most: np.float32, value_scale: np.float32, visit_offset: np.float32) -> None:
    """`agents.search.completed_q.transform` in place; most: the largest visit count of the node."""
    low = high = q[0]
    for k in range(1, slots):
        low, high = min(low, q[k]), max(high, q[k])
    width = max(high - low, _LEAST_RANGE)
    factor = (visit_offset + most) * value_scale
    for k in range(slots):
        q[k] = factor * ((q[k] - low) / width)


@kernel
def _considered(
    node: int,
    slots: int,
    wanted_visits: np.float32,
    arrays: tuple[Floats, ...],
    noise: Floats,
    legal: Booleans,
    value_scale: np.float32,
    visit_offset: np.float32,
    scratch: Floats,
    lanes: Floats,
) -> int:
    """`agents.search.gumbel.RootChoice` of one root."""
    visits, _, logits, _, _ = arrays
    first = node * slots
    total = most = _ZERO
    for k in range(slots):
        total += visits[first + k]
        most = max(most, visits[first + k])
    q = scratch[0]
    _completed_q(node, slots, total, arrays, q, scratch[1], lanes)
    _transform(q, slots, most, value_scale, visit_offset)
    best, best_score = 0, _NEVER
    for k in range(slots):
        if legal[first + k] and visits[first + k] == wanted_visits:
            score = max(noise[first + k] + logits[first + k] + q[k], _LEAST_SCORE)
            if score > best_score:
                best, best_score = k, score
    return best


@kernel
def _gumbel(
    node: int,
    slots: int,
    arrays: tuple[Floats, ...],
    value_scale: np.float32,
    visit_offset: np.float32,
    scratch: Floats,
    lanes: Floats,
) -> int:
    """`agents.search.gumbel.InteriorChoice` of one node."""
    visits, _, _, prior, _ = arrays
    first = node * slots
    total = most = _ZERO
    for k in range(slots):
        total += visits[first + k]
        most = max(most, visits[first + k])
    weights = scratch[1]
    if total == _ZERO:  # all Q are the node's value, so that sigma is 0
        for k in range(slots):
            weights[k] = prior[first + k]
    else:
        q = scratch[0]
        _completed_q(node, slots, total, arrays, q, weights, lanes)
        _transform(q, slots, most, value_scale, visit_offset)
        for k in range(slots):
            weights[k] = prior[first + k] * np.float32(math.exp(np.float64(q[k])))
    norm = _row_sum(weights, slots, lanes)
    best, best_score = 0, _NEVER
    for k in range(slots):
        score = weights[k] / norm - visits[first + k] / (_ONE + total)
        if score > best_score:
            best, best_score = k, score
    return best


@kernel
def _puct(
    node: int, slots: int, arrays: tuple[Floats, ...], c: Floats, fpu_reduction: np.float32, lanes: Floats
) -> int:
    """`agents.search.puct.PuctChoice` of one node; c: float32 [N + 1], c(N) of a node with N visits."""
    visits, value_sum, logits, prior, value = arrays
    first = node * slots
    total = _ZERO
    for k in range(slots):
        total += visits[first + k]
    mean = (value[node] + _row_sum(value_sum[first : first + slots], slots, lanes)) / (_ONE + total)
    unseen = mean - fpu_reduction
    factor, root = c[int(total)], np.sqrt(max(total, _ONE))
    best, best_score = 0, _NEVER
    for k in range(slots):
        if logits[first + k] > _LOWEST:
            seen = visits[first + k]
            q = value_sum[first + k] / seen if seen > _ZERO else unseen
            score = q + factor * prior[first + k] * root / (_ONE + seen)
            if score > best_score:
                best, best_score = k, score
    return best


@kernel
def _arrive(
    board: int,
    depth: int,
    node: int,
    slots: int,
    path: Integers,
    length: Integers,
    parent: Integers,
    action: Integers,
    wanted: Booleans,
    child: Integers,
    actions: NDArray[np.int16],
) -> None:
    """Write where the descent of one tree ended: `depth` edges, the last of them one of `node`."""
    edge = path[depth - 1, board]
    length[board] = depth
    parent[board] = node
    wanted[board] = child[edge] == _UNEXPANDED
    if actions.size:
        action[board] = max(np.int64(actions[edge]), 0)
    else:
        action[board] = edge - node * slots


@kernel
def descend_gumbel(
    slots: int,
    arrays: tuple[Floats, ...],
    child: Integers,
    actions: NDArray[np.int16],
    scheduled: Floats,
    noise: Floats,
    legal: Booleans,
    value_scale: np.float32,
    visit_offset: np.float32,
    path: Integers,
    length: Integers,
    parent: Integers,
    action: Integers,
    wanted: Booleans,
    scratch: Floats,
    lanes: Floats,
) -> int:
    """One descent in each of B trees; returns the depth of the deepest.

    arrays: visits, value sums, logits, prior and value of the nodes, flat. scheduled: [B], the visits that the root's
    action must have. noise, legal: [B * K]. Written: path [M, B], the edges; length, parent, action, wanted [B], see
    `agents.search.tree.simulate`. scratch: [2, K], lanes: [32].
    """
    deepest = 0
    for board in range(length.size):
        node = board
        slot = _considered(
            node, slots, scheduled[board], arrays, noise, legal, value_scale, visit_offset, scratch, lanes
        )
        path[0, board] = node * slots + slot
        depth = 1
        while child[path[depth - 1, board]] >= 0:
            node = child[path[depth - 1, board]]
            slot = _gumbel(node, slots, arrays, value_scale, visit_offset, scratch, lanes)
            path[depth, board] = node * slots + slot
            depth += 1
        _arrive(board, depth, node, slots, path, length, parent, action, wanted, child, actions)
        deepest = max(deepest, depth)
    return deepest


@kernel
def descend_puct(
    slots: int,
    arrays: tuple[Floats, ...],
    child: Integers,
    actions: NDArray[np.int16],
    c: Floats,
    fpu_reduction: np.float32,
    path: Integers,
    length: Integers,
    parent: Integers,
    action: Integers,
    wanted: Booleans,
    lanes: Floats,
) -> int:
    """One descent in each of B trees by PUCT, also at the root; arguments as in `descend_gumbel` and `_puct`."""
    deepest = 0
    for board in range(length.size):
        node = board
        path[0, board] = node * slots + _puct(node, slots, arrays, c, fpu_reduction, lanes)
        depth = 1
        while child[path[depth - 1, board]] >= 0:
            node = child[path[depth - 1, board]]
            path[depth, board] = node * slots + _puct(node, slots, arrays, c, fpu_reduction, lanes)
            depth += 1
        _arrive(board, depth, node, slots, path, length, parent, action, wanted, child, actions)
        deepest = max(deepest, depth)
    return deepest


@kernel
def repeat_last(path: Integers, length: Integers, deepest: int) -> None:
    """Fill the rows of shorter paths with their last edge, up to `deepest`."""
    for board in range(length.size):
        for depth in range(length[board], deepest):
            path[depth, board] = path[length[board] - 1, board]


@kernel
def expand_and_back_up(
    first_new: int,
    path: Integers,
    length: Integers,
    wanted: Booleans,
    leaf_reward: Floats,
    leaf_discount: Floats,
    leaf_ended: Booleans,
    leaf_value: Floats,
    visits: Floats,
    value_sum: Floats,
    reward: Floats,
    discount: Floats,
    child: Integers,
) -> None:
    """Connect the new nodes, `first_new` + board, to the wanted edges, and add the returns along the paths."""
    for board in range(length.size):
        edge = path[length[board] - 1, board]
        if wanted[board]:
            child[edge] = _ENDED if leaf_ended[board] else first_new + board
            reward[edge] = leaf_reward[board]
            discount[edge] = leaf_discount[board]
        returned = leaf_value[board]
        for depth in range(length[board] - 1, -1, -1):
            edge = path[depth, board]
            returned = _fma(discount[edge], returned, reward[edge])
            value_sum[edge] += returned
            visits[edge] += _ONE
