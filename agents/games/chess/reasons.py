"""Why a move cannot be played: the piece that is missing or blocked, the king that would be in check."""

import re
from typing import NamedTuple

from agents.games.chess.fen import PIECES, board_letters, square_name
from agents.games.chess.geometry import JUMPS, STEPS, landing, tables
from agents.games.chess.legal_moves import legal_moves
from agents.games.chess.names import CASTLING, SAN, meant, trimmed
from agents.games.chess.state import ChessState

_UCI = re.compile(r"([a-h][1-8])([a-h][1-8])([nbrq]?)")
_NAMES = ("pawn", "knight", "bishop", "rook", "queen", "king")
_SIDES = ("White", "Black")
_KING_SIDE, _QUEEN_SIDE = (7, (5, 6)), (0, (1, 2, 3))  # the rook's file and the files between it and the king


class _View(NamedTuple):
    """One board: letters as in `board_letters`; rights: files of the rooks with which the mover may still castle."""

    letters: list[str]
    black: bool
    check: bool
    rights: set[int]

    @property
    def side(self) -> str:
        return _SIDES[self.black]

    def own(self, square: int) -> bool:
        return bool(self.letters[square]) and self.letters[square].islower() == self.black


def why_illegal(state: ChessState, text: str, *, index: int = 0) -> str | None:
    """Why a running board has no such legal move; None where the text names no move in UCI or SAN."""
    text = trimmed(text)
    view = _view(state, index)
    if text in CASTLING:
        return _castling(view, _KING_SIDE if text == "O-O" else _QUEEN_SIDE)
    uci = _UCI.fullmatch(text)
    if uci is not None:
        source, target, promotion = uci.groups()
        return _of_piece(view, _square(source), _square(target), promotion)
    san = SAN.fullmatch(text)
    if san is None:
        return None
    several = meant(state, san, index=index)
    return f"it may mean {' or '.join(several)}" if several else _of_pieces(view, san)


def _view(state: ChessState, index: int) -> _View:
    check = bool(legal_moves(state.position, tables(state.plies.device)).check[index])
    rights = {file for file in (0, 7) if int(state.words[index, 7]) >> file & 1}
    return _View(board_letters(state.position, index=index), int(state.plies[index]) % 2 == 1, check, rights)


def _of_pieces(view: _View, san: re.Match[str]) -> str:
    """Why no piece can move as a match of `SAN` says."""
    piece, file, rank, target, promotion = san.groups()
    kind = PIECES.index(piece.lower() or "p")
    letter = PIECES[kind] if view.black else PIECES[kind].upper()
    named = [square_name(square) for square, found in enumerate(view.letters) if found == letter]
    squares = [_square(name) for name in named if name.startswith(file) and name.endswith(rank)]
    if not squares:
        where = f" on {file}{rank}" if file and rank else f" on the {file} file" if file else f" on rank {rank}"
        return f"{view.side} has no {_NAMES[kind]}{where if file or rank else ''}"
    if len(squares) == 1:
        return _of_piece(view, squares[0], _square(target), promotion.lower())
    near = [square for square in squares if _reaches(view, square, _square(target))]
    if near and not view.own(_square(target)):
        return _of_piece(view, near[0], _square(target), promotion.lower())
    return f"no {_NAMES[kind]} of {view.side}'s can move to {target}"


def _of_piece(view: _View, source: int, target: int, promotion: str) -> str:
    """Why the piece on a square cannot move to another."""
    letter, name = view.letters[source], square_name(source)
    if not letter:
        return f"there is no piece on {name}"
    piece = _NAMES[PIECES.index(letter.lower())]
    if not view.own(source):
        return f"the {piece} on {name} is {_SIDES[not view.black]}'s"
    home = 60 if view.black else 4
    if piece == "king" and source == home and target in (home - 2, home + 2):
        return _castling(view, _KING_SIDE if target > source else _QUEEN_SIDE)
    if view.own(target):
        return f"{square_name(target)} has a piece of {view.side}'s own"
    if not _reaches(view, source, target):
        return f"the {piece} on {name} cannot move to {square_name(target)}"
    last = piece == "pawn" and target // 8 in (0, 7)
    if last and not promotion:
        return "the pawn promotes: name the piece that it becomes"
    if promotion and not last:
        return f"the {piece} on {name} does not promote there"
    return f"{view.side}'s king is in check" if view.check else f"{view.side}'s king would be in check"


def _castling(view: _View, side: tuple[int, tuple[int, ...]]) -> str:
    rook, between = side
    first = 56 * view.black
    if rook not in view.rights:
        return f"{view.side} has lost the right to castle on that side"
    if view.check:
        return f"{view.side}'s king is in check"
    blocked = [square_name(first + file) for file in between if view.letters[first + file]]
    return f"{' and '.join(blocked)} must be empty" if blocked else f"{view.side}'s king would be in check on its way"


def _reaches(view: _View, source: int, target: int) -> bool:
    """Whether the piece moves so and nothing stands in its way; check does not count."""
    kind, letters = view.letters[source].lower(), view.letters
    forward = -1 if view.black else 1
    if kind == "p":
        ahead, home = landing(source, forward, 0), source // 8 == (6 if view.black else 1)
        if target == ahead or (
            home and target == landing(source, 2 * forward, 0) and not letters[source + 8 * forward]
        ):
            return not letters[target]
        return bool(letters[target]) and target in (landing(source, forward, 1), landing(source, forward, -1))
    if kind == "n":
        return any(landing(source, *jump) == target for jump in JUMPS)
    for ranks, files in STEPS:
        if kind in "qk" or (0 in (ranks, files)) == (kind == "r"):
            for distance in range(1, 2 if kind == "k" else 8):
                square = landing(source, ranks * distance, files * distance)
                if square == target:
                    return True
                if square is None or letters[square]:
                    break
    return False


def _square(name: str) -> int:
    return "abcdefgh".index(name[0]) + 8 * (int(name[1]) - 1)
