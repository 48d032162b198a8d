"""Names of moves and players in the Go Text Protocol (GTP), for all games with moves on the cells of a board.

A vertex is a letter for the column, without I, and a number for the row from the bottom, as GTP has it and as GoGui
draws it for every game. Programs of other games than Go often use the names of their game instead: gtp-rhino counts the
rows of Othello from the top, and programs of Hex have the letter I. `Coordinates` chooses between the two.
"""

from enum import StrEnum
from typing import Any

from agents.games.game import Game
from agents.games.hex import Hex
from agents.games.hex.text import SWAP, seen_by_first
from agents.games.line_game import LineGame
from lab.errors import UserError

LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"
COLOURS = ("black", "white")
"""Player 0 and player 1."""
PLAYERS = {"b": 0, "black": 0, "w": 1, "white": 1}
"""The player of each name of a colour, in small letters."""
PASS, RESIGN, SWAP_PIECES = "pass", "resign", "swap-pieces"
GAMES = ("go", "othello", "hex", "gomoku", "connect_four", "tic_tac_toe")
"""Games that GTP can name the moves of."""


class Coordinates(StrEnum):
    """gtp: vertices. game: the names that the game's moves have everywhere else in the lab."""

    gtp = "gtp"
    game = "game"


def check_game(game: Game) -> None:
    """Raise UserError for a game without GTP, and for a board that is too wide for its letters."""
    if game.name not in GAMES:
        raise UserError(
            f"no engine protocol has the game {game.name}: GTP is for {', '.join(GAMES)}, UCI for chess, breakthrough"
        )
    columns = game.observation_shape[2]
    if columns > len(LETTERS):
        raise UserError(f"GTP has letters for {len(LETTERS)} columns, and the board of {game.name} has {columns}")


def vertex(row: int, column: int, rows: int) -> str:
    """The vertex of a cell; row 0 is on top."""
    return f"{LETTERS[column]}{rows - row}"


def move_name(
    game: Game, state: Any, action: int, coordinates: Coordinates = Coordinates.gtp, *, index: int = 0
) -> str:
    """The GTP name of a legal action of one board: a vertex, `pass` or `swap-pieces`."""
    name = game.move_name(state, action, index=index)
    if name.lower() == PASS:
        return PASS
    if name == SWAP and isinstance(game, Hex):
        return SWAP_PIECES
    if coordinates is Coordinates.game:
        return name.upper() if game.name == "go" else name
    return vertex(*_cell(game, state, action, index), game.observation_shape[1])


def legal_moves(
    game: Game, state: Any, coordinates: Coordinates = Coordinates.gtp, *, index: int = 0
) -> dict[str, int]:
    """The legal actions of one board by their GTP names, in the order of the actions."""
    actions = game.legal(state)[index].nonzero()[:, 0].tolist()
    return {move_name(game, state, action, coordinates, index=index): action for action in actions}


def find_move(
    game: Game, state: Any, text: str, coordinates: Coordinates = Coordinates.gtp, *, index: int = 0
) -> int | None:
    """The legal action of that GTP name, in capitals or not; None for another text."""
    wanted = text.lower()
    if wanted == SWAP:
        wanted = SWAP_PIECES
    legal = legal_moves(game, state, coordinates, index=index)
    return next((action for name, action in legal.items() if name.lower() == wanted), None)


def _cell(game: Game, state: Any, action: int, index: int) -> tuple[int, int]:
    """Row, from the top as player 0 sees the board, and column of the stone that an action places."""
    _, rows, columns = game.observation_shape
    if isinstance(game, LineGame) and game.gravity:
        stones = state.cells[index].view(rows, columns)[:, action] != 0
        return rows - 1 - int(stones.sum()), action
    if isinstance(game, Hex):
        action = seen_by_first(game, action, int(state.plies[index]))
    row, column = divmod(action, columns)
    return row, column
