"""What the games have of their own in SGF: the number, points, moves and positions that are set up.

| game | GM | points | special moves |
| --- | --- | --- | --- |
| Go | 1 | `dp`: letters of the column and the row from the top left | `[]` or, up to 19x19, `[tt]`: pass |
| Othello | 2 | as in Go | `[]`: pass |
| Gomoku | 4 | as in Go | |
| Hex | 11 | `d4`: letter of the column, number of the row from the top | `swap-pieces`, `resign`, `forfeit` |
| Connect Four | none | as in Go: the cell in which the disc comes to rest | |

Black is player 0; in Hex he connects top and bottom, as in the specification. FF[4] has no number for Connect Four: GM
is left out, and programs for Go show the game as stones on a board of its size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from string import ascii_letters
from typing import Any

import torch

from agents.games.game import Game
from agents.games.go.game import Go
from agents.games.gomoku import Gomoku
from agents.games.hex.game import Hex
from agents.games.hex.text import seen_by_first
from agents.games.line_game import LineGame
from agents.games.othello.game import Othello
from lab.errors import UserError

CPU = torch.device("cpu")
NAMES = {1: "Go", 2: "Othello", 3: "chess", 4: "Gomoku and Renju", 11: "Hex"}
"""Games by their number in FF[4]; the list there is longer."""

Owners = list[int]
"""Cells in row-major order: +1 for a stone of Black, -1 for White, 0 for none."""


@dataclass(frozen=True)
class SgfBoard:
    """One game's part of the format.

    number: GM, None where FF[4] has none. rows, columns: of the board. pass_action: None where nobody passes.
    swap_action: None where nobody swaps. cell_numbers: points are written as in Hex. owners: of a state with B = 1.
    setup: state of owners and the player to move, which raises UserError. action: of a cell (row, column) on a state;
    cell: the cell of an action, which is no pass.
    first_mover_is_black: whether player 0 is who moves first, whatever his colour in the file.
    """

    number: int | None
    rows: int
    columns: int
    owners: Callable[[Any], Owners]
    setup: Callable[[Owners, int], Any]
    action: Callable[[Any, int, int], int]
    cell: Callable[[Any, int], tuple[int, int]]
    pass_action: int | None = None
    swap_action: int | None = None
    cell_numbers: bool = False
    first_mover_is_black: bool = False

    def point(self, row: int, column: int) -> str:
        """The point of a cell as a value."""
        return f"{ascii_letters[column]}{row + 1}" if self.cell_numbers else ascii_letters[column] + ascii_letters[row]

    def find(self, value: str) -> tuple[int, int] | None:
        """Row and column of a value; None if it is no point of the board. In Hex both forms of points are known."""
        if self.cell_numbers and value[1:].isascii() and value[1:].isdecimal() and len(value) < 5:
            column, row = ascii_letters.find(value[0].lower()), int(value[1:]) - 1
        elif len(value) == 2:
            column, row = (ascii_letters.find(letter) for letter in value)
        else:
            return None
        return (row, column) if 0 <= row < self.rows and 0 <= column < self.columns else None


def has_sgf(game: Game) -> bool:
    """Whether games are written in SGF."""
    return _maker(game) is not None


def sgf_board(game: Game) -> SgfBoard:
    """The part of a game that `has_sgf`."""
    maker = _maker(game)
    if maker is None:
        raise UserError(f"{game.name} has no form in SGF; Go, Hex, Othello, Gomoku and Connect Four have")
    return maker(game)


def _maker(game: Game) -> Callable[[Any], SgfBoard] | None:
    if isinstance(game, LineGame):
        if max(game.rows, game.columns) > len(ascii_letters):
            return None
        return _connect_four if game.gravity else _gomoku if isinstance(game, Gomoku) else None
    makers: dict[type, Callable[[Any], SgfBoard]] = {Go: _go, Othello: _othello, Hex: _hex}
    return makers.get(type(game))


def _row_major(columns: int, state: Any, row: int, column: int) -> int:
    return row * columns + column


def _of_row_major(columns: int, state: Any, action: int) -> tuple[int, int]:
    return divmod(action, columns)


def _go(game: Go) -> SgfBoard:
    def setup(owners: Owners, player: int) -> Any:
        return game.setup(torch.tensor(owners, dtype=torch.int8).view(1, game.size, game.size), player)

    return SgfBoard(
        number=1,
        rows=game.size,
        columns=game.size,
        owners=game.stones,
        setup=setup,
        action=partial(_row_major, game.size),
        cell=partial(_of_row_major, game.size),
        pass_action=game.points,
    )


def _square(game: Othello | Gomoku, **settings: Any) -> SgfBoard:
    """A square board on which action k is cell k, row by row. settings: further fields of `SgfBoard`."""
    return SgfBoard(
        rows=game.size,
        columns=game.size,
        owners=game.colours,
        setup=lambda owners, player: game.from_owners(owners, player, CPU),
        action=partial(_row_major, game.size),
        cell=partial(_of_row_major, game.size),
        **settings,
    )


def _othello(game: Othello) -> SgfBoard:
    return _square(game, number=2, pass_action=game.cells)


def _hex(game: Hex) -> SgfBoard:
    def action(state: Any, row: int, column: int) -> int:
        return seen_by_first(game, row * game.size + column, int(state.plies[0]))

    def cell(state: Any, action: int) -> tuple[int, int]:
        return divmod(seen_by_first(game, action, int(state.plies[0])), game.size)

    return SgfBoard(
        number=11,
        rows=game.size,
        columns=game.size,
        owners=game.owners,
        setup=lambda owners, player: game.from_owners(owners, player, CPU),
        action=action,
        cell=cell,
        swap_action=game.cells if game.swap else None,
        cell_numbers=True,
        first_mover_is_black=True,
    )


def _gomoku(game: Gomoku) -> SgfBoard:
    return _square(game, number=4, first_mover_is_black=True)


def _connect_four(game: LineGame) -> SgfBoard:
    def landing(state: Any, column: int) -> int:
        """Row in which a disc comes to rest, -1 in a full column."""
        owners = game.colours(state)
        return sum(owners[row * game.columns + column] == 0 for row in range(game.rows)) - 1

    def action(state: Any, row: int, column: int) -> int:
        rests = landing(state, column)
        if row > rests >= 0:
            raise UserError("the cell is taken")
        if row < rests:
            raise UserError(f"the disc falls to row {rests + 1} from the top")
        return column

    return SgfBoard(
        number=None,
        rows=game.rows,
        columns=game.columns,
        owners=game.colours,
        setup=lambda owners, player: game.from_owners(owners, player, CPU),
        action=action,
        cell=lambda state, action: (landing(state, action), action),
        first_mover_is_black=True,
    )
