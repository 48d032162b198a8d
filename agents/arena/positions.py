"""Solved positions and their CSV files.

A file has the header `position,scores`, for any game (see `named_positions`), or for Connect Four `moves,c1,...,cN`:
there `moves` are 1-based columns from the empty board, and `x` is the score of a full column. A column `set` may come
first. Scores are exact for the side to move: positive wins, and a larger score wins sooner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.arena.named_positions import read_row
from agents.games.game import Game, concatenate, select, where
from agents.games.line_game import LineGame, LineState
from lab import rng
from lab.data.csv_file import read_lines
from lab.errors import UserError

CPU = torch.device("cpu")
NAMED = ["position", "scores"]
_SHOWN = 5  # problems listed with their lines; further ones are counted


@dataclass(frozen=True)
class Positions:
    """N running boards with exact scores.

    states: a game state of N boards. scores: int64 [N, A], for the mover; ILLEGAL where an action is illegal.
    sets: the name of each position's set; empty without sets.
    """

    game: Game
    states: Any
    scores: Tensor
    sets: Sequence[str] = ()

    ILLEGAL = -(10**6)

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: Tensor) -> "Positions":
        """The positions numbered `index` int64 [M]."""
        sets = [self.sets[i] for i in index.tolist()] if self.sets else ()
        return Positions(self.game, select(self.states, index), self.scores[index], sets)

    def without(self, others: "Positions") -> "Positions":
        """The positions that are not among `others`, compared as boards up to symmetry."""
        known = torch.isin(self._keys(), others._keys())
        return self.take((~known).nonzero()[:, 0])

    def _keys(self) -> Tensor:
        """int64 [N], equal for positions that a symmetry of the board maps onto each other."""
        planes = self.game.observe(self.states).flatten(1).to(torch.int64)
        maps = self.game.symmetries(planes.device).planes
        weights = rng.random_bits(0, torch.arange(planes.shape[1], device=planes.device))
        return torch.stack([(planes[:, one] * weights).sum(1) for one in maps]).amin(0)


def read(path: Path, game: Game) -> Positions:
    """Positions of a CSV file.

    Raises UserError when the file cannot be read, is not for this game, or has malformed or illegal lines:
    the first few with their numbers and a count of the rest.
    """
    lines = _lines(path)
    if lines and lines[0][1][-2:] == NAMED:
        return _named(path, lines, game)
    if not isinstance(game, LineGame) or not game.gravity:
        raise UserError(
            f"{path}: the columns moves,c1,... are for Connect Four and the run plays {game.name}; "
            f"give a file with the columns {','.join(NAMED)}"
        )
    if game.columns > 9:
        raise UserError(f"{path}: a board of {game.columns} columns cannot be written with one digit per move")
    rows, has_sets = _rows(path, lines, game)
    problems: dict[int, str] = {}
    moves = [_moves(row.moves, game.columns) for row in rows]
    scores = [_scores(row.scores, game.columns) for row in rows]
    for row, played, scored in zip(rows, moves, scores, strict=True):
        for parsed in (played, scored):
            if isinstance(parsed, str):
                problems.setdefault(row.line, parsed)
    states, illegal = _play(game, [m if isinstance(m, list) else [] for m in moves])
    table = torch.tensor([s if isinstance(s, list) else [0] * game.columns for s in scores])
    done, legal = game.done(states).tolist(), game.legal(states)
    marked = ((table == Positions.ILLEGAL) != ~legal).any(1).tolist()
    for number, row in enumerate(rows):
        if illegal[number]:
            problems.setdefault(row.line, illegal[number])
        elif done[number]:
            problems.setdefault(row.line, "the game is over after these moves")
        elif marked[number]:
            problems.setdefault(row.line, _mismatch(table[number], legal[number]))
    if problems:
        raise UserError(_message(path, problems))
    return Positions(game, states, table, [row.set for row in rows] if has_sets else ())


@dataclass(frozen=True)
class _Row:
    line: int
    set: str
    moves: str
    scores: list[str]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines of a file with their numbers."""
    try:
        found, _ = read_lines(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give a CSV of positions to --positions") from None
    return [(line, [cell.strip() for cell in row]) for line, row in found if any(row)]


def _named(path: Path, lines: list[tuple[int, list[str]]], game: Game) -> Positions:
    """The positions of a file for any game."""
    (number, header), *rows = lines
    if header not in (NAMED, ["set", *NAMED]):
        message = f"{path}, line {number}: the header must be {','.join(NAMED)}, not {','.join(header)[:80]}"
        raise UserError(message + " (a column `set` may come first)")
    if not rows:
        raise UserError(f"{path} has a header and no positions")
    states, scores, problems = [], [], {}
    for line, cells in rows:
        if len(cells) != len(header):
            problems[line] = f"{len(cells)} cells instead of {len(header)}"
            continue
        found = read_row(game, cells[-2], cells[-1], Positions.ILLEGAL)
        if isinstance(found, str):
            problems[line] = found
            continue
        states.append(found[0])
        scores.append(found[1])
    if problems:
        raise UserError(_message(path, problems))
    sets = [cells[0] for _, cells in rows] if len(header) > len(NAMED) else ()
    return Positions(game, concatenate(states), torch.stack(scores), sets)


def _rows(path: Path, lines: list[tuple[int, list[str]]], game: LineGame) -> tuple[list[_Row], bool]:
    wanted = ["moves", *(f"c{c + 1}" for c in range(game.columns))]
    if not lines:
        raise UserError(f"{path} is empty; its first line must be {','.join(wanted)}")
    number, header = lines[0]
    has_sets = header[:1] == ["set"]
    if header[has_sets:] != wanted:
        message = f"{path}, line {number}: the header must be {','.join(wanted)}, not {','.join(header)[:80]}"
        raise UserError(message + " (a column `set` may come first)")
    if len(lines) == 1:
        raise UserError(f"{path} has a header and no positions")
    rows = []
    for number, cells in lines[1:]:
        cells = cells if has_sets else ["", *cells]
        rows.append(_Row(number, cells[0], cells[1] if len(cells) > 1 else "", cells[2:]))
    return rows, has_sets


def _moves(text: str, columns: int) -> list[int] | str:
    """0-based columns, or the problem."""
    for place, sign in enumerate(text):
        if sign not in "123456789"[:columns]:
            return f"move {place + 1} is {sign!r}, not a column 1-{columns}"
    return [int(sign) - 1 for sign in text]


def _scores(cells: Sequence[str], columns: int) -> list[int] | str:
    """Exact scores, ILLEGAL for x, or the problem."""
    if len(cells) != columns:
        return f"{len(cells)} scores instead of {columns}"
    scores = []
    for column, cell in enumerate(cells):
        digits = cell.removeprefix("-")
        if cell != "x" and not (digits.isascii() and digits.isdecimal() and len(digits) <= 4):
            return f"the score of column {column + 1} is {cell!r}, neither a whole number nor x"
        scores.append(Positions.ILLEGAL if cell == "x" else int(cell))
    return scores


def _play(game: LineGame, moves: list[list[int]]) -> tuple[LineState, list[str]]:
    """States after the moves of all rows, and the illegal move of each row ("" if none)."""
    # A sequence longer than the number of cells contains an illegal move.
    longest = min(max(map(len, moves)), game.max_plies + 1)
    padded = [(m + [-1] * longest)[:longest] for m in moves]
    table = torch.tensor(padded, dtype=torch.int64).view(len(moves), longest)
    state = game.initial(len(moves), CPU)
    illegal = [""] * len(moves)
    for ply in range(longest):
        action = table[:, ply]
        active = action >= 0
        legal = game.legal(state).gather(1, action.clamp_min(0)[:, None])[:, 0]
        done = game.done(state)
        for row in (active & ~legal).nonzero()[:, 0].tolist():
            full = f"is column {int(action[row]) + 1}, which is full"
            reason = "comes after the end of the game" if done[row] else full
            illegal[row] = illegal[row] or f"move {ply + 1} {reason}"
        state = where(active & legal, game.step(state, action.clamp_min(0)), state)
    return state, illegal


def _mismatch(scores: Tensor, legal: Tensor) -> str:
    column = int(((scores == Positions.ILLEGAL) != ~legal).nonzero()[0])
    fact = "open and its score is x" if legal[column] else "full and its score is not x"
    return f"column {column + 1} is {fact}"


def _message(path: Path, problems: dict[int, str]) -> str:
    lines = sorted(problems)
    listed = "; ".join(f"line {line}: {problems[line]}" for line in lines[:_SHOWN])
    rest = len(lines) - _SHOWN
    return f"{path}: {listed}" + (f"; and {rest} more such lines" if rest > 0 else "")
