"""Checks of what a person sees: text, images and names of moves."""

import numpy as np

from agents.games.board import EMPTY, Board
from agents.games.checks.playout import Playout, require

_POSITIONS_NAMED = 5  # of a playout, and about as many moves of each


def pictures(playout: Playout) -> None:
    """Text, images and what is on the board."""
    game, states, _ = playout
    for number in (0, 1, len(states) // 2, len(states) - 1):
        state, previous = states[number], states[number - 1] if number else None
        index = number % len(states[0][0])
        board = game.board(state, index, previous)
        if board is not None:
            _board(board)
        require(
            bool(game.render(state, index, previous).strip()),
            "`render` returns no text",
            "return one board as text, or define `board`",
        )
        image = game.image(state, index, previous)
        require(
            image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and bool(image.size),
            f"`image` returns {image.dtype} {list(image.shape)}",
            "return uint8 [height, width, 3]",
        )


def _board(board: Board) -> None:
    rows, columns = board.size
    grids = [grid for grid in (board.owners, board.signs, board.cell_names) if grid]
    require(
        all(len(grid) == rows and {len(row) for row in grid} == {columns} for grid in grids)
        and len(board.row_names) in (0, rows)
        and len(board.column_names) in (0, columns),
        "`board` has parts of different sizes",
        "give owners, signs and cell_names as many rows and columns as there are names of rows and columns",
    )
    require(
        {owner for row in board.owners for owner in row} <= {EMPTY, 0, 1},
        "`board` has owners other than 0, 1 and EMPTY",
        "give the number of the player, not of the side to move",
    )
    marked = board.last | board.winning | board.stars
    require(
        all(0 <= row < rows and 0 <= column < columns for row, column in marked),
        "`board` marks a cell that is not on the board",
        "give (row, column), row 0 on top",
    )


def names(playout: Playout) -> None:
    """Names of moves."""
    game, states, _ = playout
    for number in range(0, len(states) - 1, max(1, len(states) // _POSITIONS_NAMED)):
        index = number % len(states[0][0])
        legal = game.legal(states[number])[index].nonzero()[:, 0].tolist()
        names = [game.move_name(states[number], action, index=index) for action in legal]
        require(
            len(set(names)) == len(names),
            "two legal moves of a position have the same name",
            "let `move_name` tell all legal moves of a position apart",
        )
        for action, name in list(zip(legal, names, strict=True))[:: max(1, len(legal) // _POSITIONS_NAMED)]:
            found = game.find_move(states[number], name, index=index)
            require(
                found == action,
                f"`find_move` finds {found} for {name!r}, the name of move {action}",
                "let it find every name that `move_name` gives",
            )
        require(
            game.find_move(states[number], "no such move", index=index) is None
            and game.why_illegal(states[number], "no such move", index=index) is None,
            "a text that names no move is taken for one",
            "return None from `find_move` and `why_illegal`",
        )
