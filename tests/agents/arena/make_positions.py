"""Makes the solved positions of Othello 6x6 and Hex 5x5 in `agents/data` from random games.

    python -m tests.agents.arena.make_positions agents/data

Half of them are for choosing checkpoints (validation), half for the test; no two are the same up to symmetry.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.arena.positions import Positions
from agents.games import Game, select
from agents.games.hex import Hex, HexState
from agents.games.hex.solver import HexSolver
from agents.games.othello import Othello, OthelloState
from agents.games.othello.solver import EndgameSolver
from agents.games.testing import random_playout

OTHELLO, HEX = Othello(6), Hex(5, swap=False)
LATE = range(4, 15)  # empty cells of Othello positions, few of the last two: they take longest to solve
PLIES = range(6, 17)  # of Hex positions


def final_margin(state: OthelloState) -> Tensor:
    """int64 [B]: discs of the player to move minus those of the opponent."""
    return OTHELLO.margin(state) * (1 - 2 * (state.plies % 2))


def othello_scores(state: OthelloState) -> Tensor:
    """int64 [B, A]: margin of discs after each legal move and best play."""
    scores = torch.full((len(state.plies), OTHELLO.num_actions), Positions.ILLEGAL)
    for board, (own, other) in enumerate(state.discs.tolist()):
        for cell, margin in EndgameSolver(6).scores(own, other).items():
            scores[board, cell] = margin
    return scores


def empty_cells(state: OthelloState) -> Tensor:
    """int64 [B]."""
    return OTHELLO.cells - OTHELLO.observe(state)[:, :2].sum((1, 2, 3)).long()


def hex_scores(solver: HexSolver, state: HexState) -> Tensor:
    """int64 [B, A]: 1 for a legal move that wins, -1 for one that loses, as the mover sees the board."""
    scores = torch.full((len(state.plies), HEX.num_actions), Positions.ILLEGAL)
    for board, plies in enumerate(state.plies.tolist()):
        owners = HEX.owners(state, board)
        stones = [sum(1 << cell for cell, owner in enumerate(owners) if owner == sign) for sign in (1, -1)]
        for cell, wins in solver.outcomes(stones, plies % 2).items():
            action = HEX.find_move(state, HEX.action_names[cell], index=board)
            scores[board, action] = 1 if wins else -1
    return scores


def random_positions(game: Game, wanted: Callable[[Any], Tensor], seed: int) -> Iterator[Any]:
    """Running positions of random games for which `wanted` is True, one of each game."""
    choose = random.Random(seed)
    while True:
        states = random_playout(game, 256, seed).states
        suitable = torch.stack([wanted(state) & (game.legal(state).sum(1) > 1) for state in states])
        for board in range(256):
            plies = suitable[:, board].nonzero()[:, 0].tolist()
            if plies:
                yield select(states[choose.choice(plies)], torch.tensor([board]))
        seed += 1


def rows(
    game: Othello | Hex,
    kinds: range,
    kind: Callable[[Any], Tensor],
    scores: Callable[[Any], Tensor],
    each: Callable[[int], int],
) -> Iterator[str]:
    """Lines of files with `each` positions of a kind (empty cells or plies)."""
    counts, seen = Counter[int](), set[int]()

    def wanted(state: Any) -> Tensor:
        return torch.isin(kind(state), torch.tensor([k for k in kinds if counts[k] < each(k)], dtype=torch.int64))

    for state in random_positions(game, wanted, seed=1):
        which, key = int(kind(state)), int(Positions(game, state, torch.zeros(1, game.num_actions))._keys())
        if counts[which] >= each(which) or key in seen:
            continue
        seen.add(key)
        table = scores(state)[0]
        actions = game.legal(state)[0].nonzero()[:, 0].tolist()
        pairs = " ".join(f"{game.move_name(state, action)}={int(table[action])}" for action in actions)
        yield f"{game.diagram(state)},{pairs}"
        counts[which] += 1
        if all(counts[k] == each(k) for k in kinds):
            return


def write(folder: Path, name: str, lines: Iterator[str]) -> None:
    """Writes the lines by turns into the file of the validation and of the test part."""
    paths = [folder / f"{name}_{part}.csv" for part in ("validation", "test")]
    with paths[0].open("w", encoding="utf-8") as first, paths[1].open("w", encoding="utf-8") as second:
        for file in (first, second):
            file.write("position,scores\n")
        for number, line in enumerate(lines):
            (first, second)[number % 2].write(line + "\n")


def main(folder: Path) -> None:
    """About a quarter of an hour on one core."""
    solver = HexSolver(5)
    hex_rows = rows(HEX, PLIES, HEX.plies, lambda state: hex_scores(solver, state), lambda plies: 182)
    write(folder, "hex_5x5", hex_rows)
    write(folder, "othello_6x6", rows(OTHELLO, LATE, empty_cells, othello_scores, lambda n: 108 if n <= 12 else 20))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
