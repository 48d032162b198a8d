"""Names of moves: UCI (e2e4, e7e8q) and standard algebraic notation, SAN (Nf3, exd6, O-O, e8=Q+)."""

import re
from typing import NamedTuple

import torch

from agents.games.chess.actions import mask
from agents.games.chess.fen import board_letters, square_name
from agents.games.chess.geometry import PLANES, PROMOTIONS, landing, plane_step, promoted_piece, tables
from agents.games.chess.legal_moves import legal_moves
from agents.games.chess.state import CHECKMATE, ChessState, Limits, stepped

_LETTERS = "pnbrqk"
CASTLING = {"O-O": 6, "O-O-O": 2}
"""Names of castling, and the file on which the king lands."""
SAN = re.compile(r"([NBRQK]?)([a-h]?)([1-8]?)[x:-]?([a-h][1-8])=?([NBRQ]?)")


class Move(NamedTuple):
    """A move on the board as White sees it. piece, promotion: letters of `pnbrqk`, promotion "" for none."""

    source: int
    target: int
    piece: str
    promotion: str
    captures: bool
    castles: bool


def action_names() -> list[str]:
    """4672 different names, for tables: UCI from the mover's side, without queens' promotions; `-` if off the board."""
    names = []
    for plane in range(PLANES):
        for square in range(64):
            target = landing(square, *plane_step(plane))
            promotion = _LETTERS[promoted_piece(plane)] if plane >= PROMOTIONS else ""
            if target is None or (promotion and square // 8 != 6):
                names.append(f"-{plane}-{square}")
            else:
                names.append(f"{square_name(square)}{square_name(target)}{promotion}")
    return names


def move_of(state: ChessState, action: int, *, index: int = 0) -> Move:
    """What an action of one board does."""
    return _move(board_letters(state.position, index=index), int(state.plies[index]) % 2 == 1, action)


def uci(state: ChessState, action: int, *, index: int = 0) -> str:
    """e2e4, e1g1, e7e8q."""
    return _uci(move_of(state, action, index=index))


def san(state: ChessState, action: int, limits: Limits, *, index: int = 0) -> str:
    """Nbd7, exd6, O-O-O, e8=Q+, Qh5# (PGN standard, section 8.2.3)."""
    moves = _legal(state, index)
    name = _short_name(moves[action], list(moves.values()))
    one = ChessState(*(field[index : index + 1] for field in state))
    after = stepped(one, torch.tensor([action], device=state.plies.device), limits)
    if int(after.outcome) == CHECKMATE:
        return name + "#"
    check = legal_moves(after.position, tables(state.plies.device)).check
    return name + "+" * bool(check)


def found_move(state: ChessState, text: str, *, index: int = 0) -> int | None:
    """The legal action that UCI or SAN names; None for no move, or for two that the text does not tell apart.

    Signs of check and comment may be missing or wrong, and more squares may be named than needed.
    """
    moves = _legal(state, index)
    text = trimmed(text)
    by_uci = {_uci(move): action for action, move in moves.items()}
    if text in by_uci:
        return by_uci[text]
    if text in CASTLING:
        return next((a for a, m in moves.items() if m.castles and m.target % 8 == CASTLING[text]), None)
    match = SAN.fullmatch(text)
    found = [] if match is None else [action for action, move in moves.items() if _meant(match, move)]
    return found[0] if len(found) == 1 else None


def meant(state: ChessState, match: re.Match[str], *, index: int = 0) -> list[str]:
    """The legal moves, in UCI, that a match of `SAN` may mean."""
    return [_uci(move) for move in _legal(state, index).values() if _meant(match, move)]


def trimmed(text: str) -> str:
    """A name without signs of check and comment, castling with letters."""
    text = text.strip().rstrip("+#!?")
    return text.replace("0", "O") if text.startswith("0") else text


def _meant(match: re.Match[str], move: Move) -> bool:
    piece, file, rank, target, promotion = match.groups()
    source = square_name(move.source)
    return (
        move.piece == (piece.lower() or "p")
        and square_name(move.target) == target
        and source.startswith(file)
        and source.endswith(rank)
        and move.promotion == promotion.lower()
        and not move.castles
    )


def _uci(move: Move) -> str:
    return f"{square_name(move.source)}{square_name(move.target)}{move.promotion}"


def _legal(state: ChessState, index: int) -> dict[int, Move]:
    letters, black = board_letters(state.position, index=index), int(state.plies[index]) % 2 == 1
    words = state.moves[index : index + 1]
    actions = mask(words, tables(words.device))[0].nonzero()[:, 0].tolist()
    return {action: _move(letters, black, action) for action in actions}


def _move(letters: list[str], black: bool, action: int) -> Move:
    plane, square = divmod(action, 64)
    ranks, files = plane_step(plane)
    turned = 56 * black
    source, target = square ^ turned, (square + 8 * ranks + files) & 63 ^ turned
    piece = letters[source].lower()
    promotion = _LETTERS[promoted_piece(plane)] if piece == "p" and target // 8 in (0, 7) else ""
    captures = bool(letters[target]) or (piece == "p" and files != 0)
    return Move(source, target, piece, promotion, captures, piece == "k" and abs(files) == 2)


def _short_name(move: Move, legal: list[Move]) -> str:
    """SAN without the sign of check."""
    if move.castles:
        return "O-O" if move.target % 8 == 6 else "O-O-O"
    source, target = square_name(move.source), square_name(move.target)
    capture = "x" * move.captures
    if move.piece == "p":
        promotion = f"={move.promotion.upper()}" if move.promotion else ""
        return f"{source[0] if move.captures else ''}{capture}{target}{promotion}"
    rivals = [m for m in legal if (m.piece, m.target) == (move.piece, move.target) and m.source != move.source]
    names = [square_name(rival.source) for rival in rivals]
    if not rivals:
        which = ""
    elif all(name[0] != source[0] for name in names):
        which = source[0]
    elif all(name[1] != source[1] for name in names):
        which = source[1]
    else:
        which = source
    return f"{move.piece.upper()}{which}{capture}{target}"
