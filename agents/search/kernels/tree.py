"""Kernels of descent, choice, expansion and backup, over the arrays of `agents.search.tree.Tree`.

They repeat the tensor form operation by operation in float32, sums in torch's order, so that visits and values are
equal bit for bit. Only `exp` is rounded on its own: torch's differs from the nearest float32 in 1% of its results.

An interior choice is computed when a descent comes to its node, not when the statistics change: the statistics are the
same, and most leaves are never visited again. The trees go down level by level; the choices of up to LANES nodes are
computed together, in vector registers: the statistics of slot k of these nodes are row k of an array [K, LANES]. The
compiler vectorises loops over the first `lanes` columns; loops of a constant length it would unroll instead.
"""

import numpy as np
from numpy.typing import NDArray

from lab.jit import kernel

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

LANES = 64
_UNEXPANDED, _ENDED = -1, -2
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_TINY = np.float32(np.finfo(np.float32).tiny)
_LOWEST = np.float32(np.finfo(np.float32).min)
_NEVER = np.float32(-np.inf)
_LEAST_RANGE = np.float32(1e-8)
_LEAST_SCORE = np.float32(-1e9)
_WIDTH, _WAYS = 8, 4  # torch sums rows of contiguous floats in 4 accumulators of 8 elements


@kernel
def _sum_slots(lanes: int, x: Floats, total: Floats, parts: Floats) -> None:
    """The sums of the columns of x [K, LANES] in the order of `Tensor.sum(-1)`, for fewer than 512 slots.

    parts: [32, LANES], overwritten.
    """
    slots = x.shape[0]
    if slots < _WIDTH:
        whole = _WAYS if slots >= _WAYS else 1
        for lane in range(lanes):
            total[lane] = x[0, lane]
        for k in range(whole, slots):
            for lane in range(lanes):
                total[lane] += x[k, lane]
        for k in range(1, whole):
            for lane in range(lanes):
                total[lane] += x[k, lane]
        return
    vectors = slots // _WIDTH
    whole = vectors // _WAYS * _WAYS
    parts[:] = _ZERO
    for k in range(vectors * _WIDTH):
        part = k % (_WIDTH * _WAYS) if k < whole * _WIDTH else k % _WIDTH
        for lane in range(lanes):
            parts[part, lane] += x[k, lane]
    for part in range(_WIDTH, _WIDTH * _WAYS):
        for lane in range(lanes):
            parts[part % _WIDTH, lane] += parts[part, lane]
    for lane in range(lanes):
        total[lane] = _ZERO
    for k in range(vectors * _WIDTH, slots):
        for lane in range(lanes):
            total[lane] += x[k, lane]
    for part in range(_WIDTH):
        for lane in range(lanes):
            total[lane] += parts[part, lane]


@kernel
def _count_visits(lanes: int, visits: Floats, total: Floats, most: Floats) -> None:
    """The sum and the largest of the visits [K, LANES] of each node."""
    for lane in range(lanes):
        total[lane] = visits[0, lane]
    for lane in range(lanes):
        most[lane] = visits[0, lane]
    for k in range(1, visits.shape[0]):
        for lane in range(lanes):
            total[lane] += visits[k, lane]
            most[lane] = max(most[lane], visits[k, lane])


@kernel
def _sigma(
    lanes: int,
    visits: Floats,
    sums: Floats,
    prior: Floats,
    value: Floats,
    total: Floats,
    most: Floats,
    value_scale: np.float32,
    visit_offset: np.float32,
    q: Floats,
    products: Floats,
    parts: Floats,
    low: Floats,
    high: Floats,
) -> None:
    """`agents.search.completed_q`: transformed completed Q values, into q [K, LANES]; the last four are overwritten."""
    slots = visits.shape[0]
    for k in range(slots):
        for lane in range(lanes):
            q[k, lane] = sums[k, lane] / max(visits[k, lane], _ONE)
            products[k, lane] = max(prior[k, lane], _TINY) if visits[k, lane] > _ZERO else _ZERO
    _sum_slots(lanes, products, low, parts)
    for k in range(slots):
        for lane in range(lanes):
            products[k, lane] *= q[k, lane]
    _sum_slots(lanes, products, high, parts)
    mixed = parts[0]
    for lane in range(lanes):
        mean = high[lane] / max(low[lane], _TINY)
        mixed[lane] = (value[lane] + total[lane] * mean) / (total[lane] + _ONE)
    for k in range(slots):
        for lane in range(lanes):
            q[k, lane] = q[k, lane] if visits[k, lane] > _ZERO else mixed[lane]
    for lane in range(lanes):
        low[lane] = q[0, lane]
    for lane in range(lanes):
        high[lane] = q[0, lane]
    for k in range(1, slots):
        for lane in range(lanes):
            low[lane] = min(low[lane], q[k, lane])
            high[lane] = max(high[lane], q[k, lane])
    for lane in range(lanes):
        high[lane] = max(high[lane] - low[lane], _LEAST_RANGE)
    for k in range(slots):
        for lane in range(lanes):
            factor = (visit_offset + most[lane]) * value_scale
            q[k, lane] = factor * ((q[k, lane] - low[lane]) / high[lane])


@kernel
def _exponential(lanes: int, x: Floats) -> None:
    """exp in place, for 0 <= x <= 80: (Taylor polynomial of x / 1024) ** 1024 in float64, relative error below 4e-9."""
    for k in range(x.shape[0]):
        for lane in range(lanes):
            y = np.float64(x[k, lane]) * (1.0 / 1024.0)
            p = 1.0 / 120.0 + y * (1.0 / 720.0)
            p = 1.0 / 24.0 + y * p
            p = 1.0 / 6.0 + y * p
            p = 0.5 + y * p
            p = 1.0 + y * p
            p = 1.0 + y * p
            p *= p
            p *= p
            p *= p
            p *= p
            p *= p
            p *= p
            p *= p
            p *= p
            p *= p
            p *= p
            x[k, lane] = np.float32(p)


@kernel
def _largest(lanes: int, scores: Floats, best: NDArray[np.int32], most: Floats) -> None:
    """The first slot with the largest score [K, LANES] of each node, as `argmax`; most is overwritten."""
    for lane in range(lanes):
        most[lane] = _NEVER
    for lane in range(lanes):
        best[lane] = np.int32(0)
    for k in range(scores.shape[0]):
        for lane in range(lanes):
            better = scores[k, lane] > most[lane]
            most[lane] = scores[k, lane] if better else most[lane]
            best[lane] = np.int32(k) if better else best[lane]


@kernel
def _interior_scores(
    lanes: int,
    visits: Floats,
    prior: Floats,
    total: Floats,
    scores: Floats,
    weights: Floats,
    parts: Floats,
    norm: Floats,
) -> None:
    """`agents.search.gumbel.InteriorChoice`, from sigma in `scores`; the last three are overwritten."""
    _exponential(lanes, scores)
    for k in range(visits.shape[0]):
        for lane in range(lanes):
            weights[k, lane] = prior[k, lane] * scores[k, lane]
    _sum_slots(lanes, weights, norm, parts)
    for k in range(visits.shape[0]):
        for lane in range(lanes):
            scores[k, lane] = weights[k, lane] / norm[lane] - visits[k, lane] / (_ONE + total[lane])


@kernel
def _root_scores(lanes: int, allowed: Floats, scores: Floats) -> None:
    """`agents.search.gumbel.RootChoice`, from sigma in `scores`; allowed: noise + logits, -inf elsewhere."""
    for k in range(scores.shape[0]):
        for lane in range(lanes):
            score = max(allowed[k, lane] + scores[k, lane], _LEAST_SCORE)
            scores[k, lane] = score if allowed[k, lane] > _NEVER else _NEVER


@kernel
def _puct_scores(
    lanes: int,
    visits: Floats,
    sums: Floats,
    prior: Floats,
    unseen: Floats,
    total: Floats,
    factor: Floats,
    scores: Floats,
) -> None:
    """`agents.search.puct.PuctChoice`; in: -inf in `scores` where a slot is empty or illegal, elsewhere 0."""
    for k in range(visits.shape[0]):
        for lane in range(lanes):
            seen = visits[k, lane]
            q = sums[k, lane] / max(seen, _ONE) if seen > _ZERO else unseen[lane]
            exploration = factor[lane] * prior[k, lane] * np.sqrt(max(total[lane], _ONE)) / (_ONE + seen)
            scores[k, lane] = scores[k, lane] + (q + exploration)


@kernel
def _arrive(
    depth: int,
    slots: int,
    path: Integers,
    child: Integers,
    actions: NDArray[np.int16],
    boards: Integers,
    count: int,
    length: Integers,
    parent: Integers,
    action: Integers,
    wanted: Booleans,
) -> int:
    """Write where the paths of boards[:count] end that have `depth` edges; the others, by their number, are left."""
    left = 0
    for index in range(count):
        board = boards[index]
        edge = path[depth - 1, board]
        if child[edge] >= 0:
            boards[left] = board
            left += 1
            continue
        length[board] = depth
        parent[board] = edge // slots
        wanted[board] = child[edge] == _UNEXPANDED
        action[board] = max(int(actions[edge]), 0) if actions.size else edge % slots
    return left


@kernel
def descend_gumbel(
    slots: int,
    visits: Floats,
    value_sum: Floats,
    logits: Floats,
    prior: Floats,
    value: Floats,
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
) -> int:
    """One descent in each of B trees; returns the depth of the deepest.

    visits, value_sum, logits, prior, value, child, actions: of the tree, flat. scheduled: [B], the visits that the
    root's action must have. noise, legal: [B * K]. Written: path [M, B], the edges; length, parent, action and wanted
    [B], where each path ends.
    """
    shape = (slots, LANES)
    v, s, p = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    q, scratch = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    parts = np.zeros((_WIDTH * _WAYS, LANES), np.float32)
    of_node, total, most = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    low, high = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    best = np.zeros(LANES, np.int32)
    boards = np.arange(length.size)
    count, depth = length.size, 0
    while count:
        for first in range(0, count, LANES):
            lanes = min(LANES, count - first)
            for lane in range(lanes):
                board = boards[first + lane]
                node = board if depth == 0 else child[path[depth - 1, board]]
                path[depth, board] = node * slots
                of_node[lane] = value[node]
                for k in range(slots):
                    edge = node * slots + k
                    v[k, lane], s[k, lane], p[k, lane] = visits[edge], value_sum[edge], prior[edge]
            _count_visits(lanes, v, total, most)
            _sigma(lanes, v, s, p, of_node, total, most, value_scale, visit_offset, q, scratch, parts, low, high)
            if depth:
                _interior_scores(lanes, v, p, total, q, scratch, parts, low)
            else:
                for lane in range(lanes):
                    board = boards[first + lane]
                    for k in range(slots):
                        edge = board * slots + k
                        allowed = legal[edge] and visits[edge] == scheduled[board]
                        scratch[k, lane] = noise[edge] + logits[edge] if allowed else _NEVER
                _root_scores(lanes, scratch, q)
            _largest(lanes, q, best, low)
            for lane in range(lanes):
                path[depth, boards[first + lane]] += best[lane]
        depth += 1
        count = _arrive(depth, slots, path, child, actions, boards, count, length, parent, action, wanted)
    return depth


@kernel
def descend_puct(
    slots: int,
    visits: Floats,
    value_sum: Floats,
    logits: Floats,
    prior: Floats,
    value: Floats,
    child: Integers,
    actions: NDArray[np.int16],
    c: Floats,
    fpu_reduction: np.float32,
    path: Integers,
    length: Integers,
    parent: Integers,
    action: Integers,
    wanted: Booleans,
) -> int:
    """One descent in each of B trees by PUCT, also at the root; further arguments as in `descend_gumbel`.

    c: float32 [N + 1], c(N) of a node with N visits.
    """
    shape = (slots, LANES)
    v, s, p = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    scores = np.zeros(shape, np.float32)
    parts = np.zeros((_WIDTH * _WAYS, LANES), np.float32)
    unseen, total, most = np.zeros(LANES, np.float32), np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
    factor = np.zeros(LANES, np.float32)
    best = np.zeros(LANES, np.int32)
    boards = np.arange(length.size)
    count, depth = length.size, 0
    while count:
        for first in range(0, count, LANES):
            lanes = min(LANES, count - first)
            for lane in range(lanes):
                board = boards[first + lane]
                node = board if depth == 0 else child[path[depth - 1, board]]
                path[depth, board] = node * slots
                for k in range(slots):
                    edge = node * slots + k
                    v[k, lane], s[k, lane], p[k, lane] = visits[edge], value_sum[edge], prior[edge]
                    scores[k, lane] = _ZERO if logits[edge] > _LOWEST else _NEVER
            _count_visits(lanes, v, total, most)
            _sum_slots(lanes, s, unseen, parts)
            for lane in range(lanes):
                node = path[depth, boards[first + lane]] // slots
                unseen[lane] = (value[node] + unseen[lane]) / (_ONE + total[lane]) - fpu_reduction
                factor[lane] = c[int(total[lane])]
            _puct_scores(lanes, v, s, p, unseen, total, factor, scores)
            _largest(lanes, scores, best, most)
            for lane in range(lanes):
                path[depth, boards[first + lane]] += best[lane]
        depth += 1
        count = _arrive(depth, slots, path, child, actions, boards, count, length, parent, action, wanted)
    return depth


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
    leaf_logits: Floats,
    leaf_value: Floats,
    logits: Floats,
    value: Floats,
    visits: Floats,
    value_sum: Floats,
    reward: Floats,
    discount: Floats,
    child: Integers,
) -> None:
    """Write the evaluations of the new nodes, `first_new` + board, connect them and add the returns along the paths.

    leaf_logits: [B * K]; logits, value: of the tree, flat.
    """
    first = first_new * leaf_logits.size // length.size
    for edge in range(leaf_logits.size):
        logits[first + edge] = leaf_logits[edge]
    for board in range(length.size):
        edge = path[length[board] - 1, board]
        if wanted[board]:
            child[edge] = _ENDED if leaf_ended[board] else first_new + board
            reward[edge] = leaf_reward[board]
            discount[edge] = leaf_discount[board]
        returned = value[first_new + board] = leaf_value[board]
        for depth in range(length[board] - 1, -1, -1):
            edge = path[depth, board]
            # Rounded once, as `torch.addcmul` does.
            exact = np.float64(discount[edge]) * np.float64(returned) + np.float64(reward[edge])
            returned = np.float32(exact)
            value_sum[edge] += returned
            visits[edge] += _ONE
