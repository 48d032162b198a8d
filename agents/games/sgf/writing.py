"""Writing of games in SGF: moves, players, the result, and evaluations as comments."""

from typing import Any

from agents.games.go.game import Go
from agents.games.go.text import result as area_result
from agents.games.hex.game import Hex
from agents.games.line_game import LineGame
from agents.games.played import PlayedGame
from agents.games.sgf.boards import SgfBoard, sgf_board
from agents.games.sgf.tree import escaped, node_text

_ENDINGS = {"resignation": "R", "time": "T"}


def write_sgf(played: PlayedGame) -> str:
    """One game; several in one file are written one after the other.

    A move's value stands in words in its comment, and in V from the view of Black, as the specification has it.
    """
    game, board = played.game, sgf_board(played.game)
    states = list(played.states())
    black, white = played.players
    information = {
        "PB": black, "PW": white, "EV": played.event, "RO": played.round, "DT": played.date,
        "RE": _result(played, states[-1]),
    }  # fmt: skip
    root = {
        "FF": ["4"],
        "GM": [str(board.number)] if board.number else [],
        "CA": ["UTF-8"],
        "AP": ["Rivals"],
        "SZ": [str(board.rows) if board.rows == board.columns else f"{board.columns}:{board.rows}"],
        **({"KM": [f"{game.komi:g}"]} if isinstance(game, Go) else {}),
        "RU": [rules] if (rules := _rules(played)) else [],
        **{name: [escaped(text)] for name, text in information.items() if text},
        **(_set_up(board, played.start, int(game.player(played.start)[0])) if _is_set_up(played) else {}),
    }
    nodes = [node_text(root)]
    for ply, (state, action) in enumerate(zip(states, played.actions, strict=False)):
        player = int(game.player(state)[0])
        value, comment = played.value(ply), played.comment(ply)
        properties = {
            "BW"[player]: [_move(board, state, action)],
            "V": [] if value is None else [f"{value * (1 - 2 * player):.4f}"],
            "C": [escaped(comment)] if comment else [],
        }
        nodes.append(node_text(properties))
    return f"({''.join(nodes)})\n"


def _is_set_up(played: PlayedGame) -> bool:
    return int(played.game.plies(played.start)[0]) > 0 or not played.from_first_position()


def _set_up(board: SgfBoard, start: Any, player: int) -> dict[str, list[str]]:
    owners = board.owners(start)
    points = [board.point(*divmod(cell, board.columns)) for cell in range(len(owners))]
    return {
        "AB": [point for point, owner in zip(points, owners, strict=True) if owner > 0],
        "AW": [point for point, owner in zip(points, owners, strict=True) if owner < 0],
        "PL": ["BW"[player]],
    }


def _move(board: SgfBoard, state: Any, action: int) -> str:
    if action == board.pass_action:
        return ""
    if action == board.swap_action:
        return "swap-pieces"
    return board.point(*board.cell(state, action))


def _rules(played: PlayedGame) -> str:
    game = played.game
    if isinstance(game, Go):
        return "Tromp-Taylor" if game.ko == "positional" else "area, simple ko"
    if isinstance(game, Hex):
        return "swap-pieces" if game.swap else "no swap"
    if isinstance(game, LineGame) and game.gravity:
        return f"Connect Four, {game.length} in a row"
    return ""


def _result(played: PlayedGame, last: Any) -> str:
    game, result = played.game, played.result(last)
    if result is None:
        return ""
    if result == 0:
        return "0"
    winner = "B" if result > 0 else "W"
    if not bool(game.done(last)[0]):
        return f"{winner}+{_ENDINGS.get(played.ending, 'F')}"
    if isinstance(game, Go):
        return area_result(game, last, 0)
    margin = abs(int(game.margin(last)[0])) if hasattr(game, "margin") else ""
    return f"{winner}+{margin}"
