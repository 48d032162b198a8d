"""Makes the chess positions of the package: mates in one and in two from random endings, with all solving first moves.

    python -m tests.agents.games.chess.make_mates agents/data

Half of them are for choosing checkpoints, half for the test; no two are equal up to reflection.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from agents.games.chess import chess
from agents.games.chess.fen import fen_of
from agents.games.chess.names import uci
from agents.games.chess.position import Position
from agents.games.chess.starts import Starts, placements, read_starts
from agents.games.chess.state import begun
from tests.agents.games.chess.mates import mates_in_one, mates_in_two, taken

MATERIALS = ("KQvK", "KRvK", "KQRvK", "KRRvK", "KRBvK", "KRNvK", "KQPvK", "KRPvK", "KQvKR", "KQvKN")
FORCED = MATERIALS[:8]  # the others have hardly any mate in two
PUZZLES = 500  # of one length, as many of each material
MOST_SOLUTIONS = 3
SEED, ROWS = 14, 16
HEADER = "set,position,scores"


def puzzles(material: str, moves: int) -> Iterator[tuple[str, list[str]]]:
    """Endless different puzzles: FEN, and the solving moves in UCI."""
    game, seen, ids = chess(), set[str](), torch.arange(ROWS)
    starts = read_starts(material, game.limits)
    while True:
        words, legal = placements(Starts(*(field.expand(ROWS, *field.shape[1:]) for field in starts)), SEED, ids)
        zeros = torch.zeros(int(legal.sum()), dtype=torch.int64)
        position = Position(words[legal], zeros, zeros)
        ids = ids + ROWS
        rows, actions = mates_in_one(position)
        if moves == 2:
            others = torch.ones(len(zeros), dtype=torch.bool)
            others[rows] = False
            position = taken(position, others.nonzero()[:, 0])
            rows, actions = mates_in_two(position)
        yield from _written(position, rows, actions, seen)


def _written(position: Position, rows: Tensor, actions: Tensor, seen: set[str]) -> Iterator[tuple[str, list[str]]]:
    state = begun(position, chess().limits)
    solutions: dict[int, list[int]] = {}
    for row, action in zip(rows.tolist(), actions.tolist(), strict=True):
        solutions.setdefault(row, []).append(action)
    for row, found in solutions.items():
        fen = fen_of(position, index=row)
        reflected = "/".join(rank[::-1] for rank in fen.split()[0].split("/"))
        key = min(fen.split()[0], reflected)
        if key not in seen and len(found) <= MOST_SOLUTIONS:
            seen.add(key)
            yield fen, [uci(state, action, index=row) for action in found]


def main(folder: Path) -> None:
    lines: dict[str, list[str]] = {"validation": [HEADER], "test": [HEADER]}
    for moves, name, materials in ((1, "mate_in_one", MATERIALS), (2, "mate_in_two", FORCED)):
        found = [puzzles(material, moves) for material in materials]
        for number in range(PUZZLES):
            fen, solving = next(found[number % len(found)])
            part = ("validation", "test")[2 * number // PUZZLES]
            lines[part].append(f"{name},{fen},{' '.join(f'{move}=1' for move in solving)} *=0")
        print(name, flush=True)
    for part, rows in lines.items():
        (folder / f"chess_mates_{part}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
