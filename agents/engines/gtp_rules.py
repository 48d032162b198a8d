"""What a GTP client shows of a game: boards as text, and GoGui's rules extension.

GoGui (Remi-Coulom/gogui, doc/manual/xml/rules.xml) plays games that it does not know by asking the engine after each
move for the board, the legal moves, the side to move and the result.
"""

import json

from agents.engines.gtp_board import GtpBoard, GtpError
from agents.engines.vertices import COLOURS, Coordinates, vertex
from agents.games.game import Game
from agents.games.go import Go
from agents.games.hex import Hex


def board_text(board: GtpBoard, *, labelled: bool) -> str:
    """The rows from the top; labelled: with coordinates around them and the side to move."""
    if labelled and board.coordinates is Coordinates.game:
        return board.game.render(board.state)
    grid = board.stones()
    if not labelled:
        return "\n".join(" ".join(row) for row in grid)
    rows, columns = len(grid), len(grid[0])
    letters = "   " + " ".join(vertex(0, column, rows)[0] for column in range(columns))
    # Hex is a rhombus whose rows move to the right.
    shift = 1 if isinstance(board.game, Hex) else 0
    lines = [f"{rows - row:2} {' ' * shift * row}{' '.join(line)}" for row, line in enumerate(grid)]
    turn = final_result(board) if board.over else f"{COLOURS[board.mover]} (X is black, O is white) to move"
    return "\n".join([letters, *lines, turn])


def board_size(game: Game) -> str:
    """`N` for a square board, `columns rows` for another, `N N hex` for hexagons: GoGui's BoardParameters."""
    _, rows, columns = game.observation_shape
    if isinstance(game, Hex):
        return f"{columns} {rows} hex"
    return str(rows) if rows == columns else f"{columns} {rows}"


def legal_names(board: GtpBoard) -> str:
    """The legal moves; none when the game is over."""
    return " ".join(board.legal(board.state))


def final_result(board: GtpBoard) -> str:
    """The result of a game that is over, for people; nothing before."""
    if not board.over:
        return ""
    score = board.score()
    if score == "0":
        return "draw"
    winner = COLOURS["BW".index(score[0])]
    counted = isinstance(board.game, Go) or board.game.name == "othello"
    return f"{winner} wins by {score[2:]}" if counted else f"{winner} wins"


def rules_json(game: Game) -> str:
    """The rules of Go in the words of KataGo. Raises GtpError for another game."""
    if not isinstance(game, Go):
        raise GtpError("the rules are not those of Go")
    return json.dumps(
        {
            "hasButton": False,
            "ko": game.ko.upper(),
            "scoring": "AREA",
            "suicide": False,
            "tax": "NONE",
            "whiteHandicapBonus": "0",
        }
    )


def analyze_commands() -> str:
    """Commands for GoGui's menu: how the answer is shown, a label, the command."""
    return "\n".join(
        [
            "pspairs/Policy of the network, in percent/rivals-policy",
            "string/Score/final_score",
            "string/Result/gogui-rules_final_result",
            "pstring/Legal moves/gogui-rules_legal_moves",
        ]
    )
