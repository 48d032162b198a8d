"""Exact margins of late Othello positions by alpha-beta search, with positions that were searched kept in a table."""

_DIRECTIONS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
_KEPT = 5  # empty cells from which moves are ordered and positions are kept
_LOWEST, _HIGHEST = -100, 100  # beyond every margin


class EndgameSolver:
    """Positions are two words of discs, bit N * row + column for a cell; for up to about 14 empty cells."""

    def __init__(self, size: int) -> None:
        cells = size * size
        self._all = (1 << cells) - 1
        self._rays = [_rays(size, cell) for cell in range(cells)]
        self._near = [sum(ray[0] for ray in rays) for rays in self._rays]
        self._bounds: dict[tuple[int, int], tuple[int, int]] = {}

    def scores(self, own: int, other: int) -> dict[int, int]:
        """For each cell where the mover may place a disc the final margin of his discs after best play."""
        self._bounds.clear()
        moves = self._moves(own, other)
        return {cell: -self._search(other ^ taken, own | taken | 1 << cell, _LOWEST, _HIGHEST) for cell, taken in moves}

    def _moves(self, own: int, other: int) -> list[tuple[int, int]]:
        """The cells where `own` captures, with the captured discs."""
        empty, found = self._all & ~(own | other), []
        while empty:
            bit = empty & -empty
            empty ^= bit
            cell = bit.bit_length() - 1
            if not self._near[cell] & other:
                continue
            taken = 0
            for ray in self._rays[cell]:
                run = 0
                for step in ray:
                    if other & step:
                        run |= step
                        continue
                    if own & step:
                        taken |= run
                    break
            if taken:
                found.append((cell, taken))
        return found

    def _search(self, own: int, other: int, alpha: int, beta: int) -> int:
        """The mover's margin: exact between alpha and beta, else a bound on that side (fail-soft negamax)."""
        kept = (self._all & ~(own | other)).bit_count() >= _KEPT
        low, high = self._bounds.get((own, other), (_LOWEST, _HIGHEST)) if kept else (_LOWEST, _HIGHEST)
        if low >= beta or low == high:
            return low
        if high <= alpha:
            return high
        alpha, beta = max(alpha, low), min(beta, high)
        moves = self._moves(own, other)
        if moves:
            best = self._best(own, other, moves, alpha, beta, ordered=kept)
        elif self._moves(other, own):
            best = -self._search(other, own, -beta, -alpha)
        else:
            return own.bit_count() - other.bit_count()
        if kept:
            self._bounds[own, other] = (best if best > alpha else low, best if best < beta else high)
        return best

    def _best(self, own: int, other: int, moves: list[tuple[int, int]], alpha: int, beta: int, *, ordered: bool) -> int:
        """The largest margin after one of the moves, with the same bounds as `_search`."""
        after = [(other ^ taken, own | taken | 1 << cell) for cell, taken in moves]
        if ordered and len(after) > 1:
            after.sort(key=self._replies)
        best = _LOWEST
        for theirs, mine in after:
            best = max(best, -self._search(theirs, mine, -beta, -max(alpha, best)))
            if best >= beta:
                break
        return best

    def _replies(self, position: tuple[int, int]) -> int:
        """The number of the opponent's moves: few replies first ("fastest first")."""
        return len(self._moves(*position))


def _rays(size: int, cell: int) -> list[tuple[int, ...]]:
    """For each direction the bits from the neighbour of a cell to the edge; at least two."""
    row, column = divmod(cell, size)
    found = []
    for down, right in _DIRECTIONS:
        steps = [(row + k * down, column + k * right) for k in range(1, size)]
        found.append(tuple(1 << (r * size + c) for r, c in steps if 0 <= r < size and 0 <= c < size))
    return [ray for ray in found if len(ray) > 1]
