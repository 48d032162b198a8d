"""Positions as FEN text: `rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1`.

Forsyth-Edwards Notation as the PGN standard has it (section 16.1), except that the square of en passant is written only
where the capture is legal, as in the rule on repetition. Reading takes any such square and forgets it otherwise.
"""

from collections.abc import Sequence

import torch

from agents.games.chess.actions import SLOTS, mask
from agents.games.chess.bits import flipped
from agents.games.chess.geometry import tables
from agents.games.chess.legal_moves import legal_moves, other_king_attacked
from agents.games.chess.position import Position
from agents.games.words import signed
from lab.config.suggestions import shortened
from lab.errors import UserError

PIECES = "pnbrqk"
INITIAL = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
_RIGHTS = {"K": (7, 4), "Q": (0, 4), "k": (63, 60), "q": (56, 60)}  # the squares of the rook and of its king
_LARGEST_NUMBER = 9999
CPU = torch.device("cpu")


def square_name(square: int) -> str:
    """a1 for 0, h8 for 63."""
    return "abcdefgh"[square % 8] + str(square // 8 + 1)


def board_letters(position: Position, *, index: int = 0) -> list[str]:
    """The letters of the 64 squares of one board as White sees it, upper case for White, "" where empty."""
    words, black = position.words[index], int(position.plies[index]) % 2
    if black:
        words = flipped(words[None])[0]
    numbers = words.tolist()
    letters = [""] * 64
    for kind, letter in enumerate(PIECES):
        for square in range(64):
            if numbers[kind] >> square & 1:
                white = (numbers[6] >> square & 1) != black
                letters[square] = letter.upper() if white else letter
    return letters


def fen_of(position: Position, *, index: int = 0) -> str:
    """FEN of one board."""
    letters, plies = board_letters(position, index=index), int(position.plies[index])
    ranks = ["".join(letters[8 * rank + file] or "1" for file in range(8)) for rank in reversed(range(8))]
    placement = "/".join(ranks)
    for run in range(8, 1, -1):
        placement = placement.replace("1" * run, str(run))
    black, (rights, passing) = plies % 2, position.words[index, 7:9].tolist()
    turned = 56 * black
    castling = "".join(sign for sign, (rook, _) in _RIGHTS.items() if rights >> (rook ^ turned) & 1)
    target = square_name((passing.bit_length() - 1) ^ turned) if passing else "-"
    return f"{placement} {'wb'[black]} {castling or '-'} {target} {int(position.clock[index])} {plies // 2 + 1}"


def is_fen(text: str) -> bool:
    """Whether a text begins like a FEN, with ranks separated by slashes; PGN has its tags before."""
    return "/" in text.partition(" ")[0] and not text.lstrip().startswith(("[", "{", "%"))


def positions(texts: Sequence[str], device: torch.device) -> Position:
    """The positions of FEN texts. Raises UserError that names the text's mistake."""
    rows = [_parsed(text) for text in texts]
    words, clock, plies = zip(*rows, strict=True)
    found = Position(torch.tensor(words), torch.tensor(clock), torch.tensor(plies))
    _check_moves(texts, found)
    return Position(*(field.to(device) for field in found))


def _parsed(text: str) -> tuple[list[int], int, int]:
    """words, clock and plies of one text."""
    if not isinstance(text, str):
        raise UserError(f"a FEN is a text such as {INITIAL!r}, not {shortened(text)}")
    parts = text.split()
    if len(parts) == 4:  # the counters may be left out, as in EPD
        parts += ["0", "1"]
    if len(parts) != 6:
        raise _wrong(
            text, f"it has {len(parts)} fields instead of 6 (pieces, side, castling, en passant, two counters)"
        )
    placement, side, castling, passing, clock, number = parts
    letters = _placed(text, placement)
    if side not in ("w", "b"):
        raise _wrong(text, f"the side to move is {shortened(side, 40)}; write w or b")
    counters = [
        _number(text, name, value, lowest)
        for name, value, lowest in (("half-move clock", clock, 0), ("move number", number, 1))
    ]
    black = side == "b"
    rights = _rights(text, castling, letters)
    target = _passing(text, passing, letters, black)
    kinds = [sum(1 << s for s, letter in enumerate(letters) if letter.lower() == kind) for kind in PIECES]
    own = sum(1 << s for s, letter in enumerate(letters) if letter and letter.islower() == black)
    words = [*kinds, own, rights, target]
    if black:
        words = [int.from_bytes(word.to_bytes(8, "little"), "big") for word in words]
    return [signed(word) for word in words], counters[0], 2 * (counters[1] - 1) + black


def _placed(text: str, placement: str) -> list[str]:
    letters = [""] * 64
    ranks = placement.split("/")
    if len(ranks) != 8:
        raise _wrong(text, f"it has {len(ranks)} ranks instead of 8")
    for rank, row in zip(range(7, -1, -1), ranks, strict=True):
        file = 0
        for sign in row:
            if sign in "12345678":
                file += int(sign)
            elif sign.lower() in PIECES:
                if file < 8:
                    letters[8 * rank + file] = sign
                file += 1
            else:
                raise _wrong(text, f"{sign!r} in rank {rank + 1} is no piece; pieces are {PIECES.upper()} and {PIECES}")
        if file != 8:
            raise _wrong(text, f"rank {rank + 1} has {file} squares instead of 8")
    for side, name in ((str.upper, "White"), (str.lower, "Black")):
        count = {kind: letters.count(side(kind)) for kind in PIECES}
        if count["k"] != 1:
            raise _wrong(text, f"{name} has {count['k']} kings instead of 1")
        promoted = sum(max(0, count[kind] - start) for kind, start in (("n", 2), ("b", 2), ("r", 2), ("q", 1)))
        if promoted + count["p"] > 8:
            raise _wrong(text, f"{name} has more pieces than 8 pawns and their promotions give")
    if any(letter in ("p", "P") for letter in letters[:8] + letters[56:]):
        raise _wrong(text, "a pawn is on the first or last rank")
    return letters


def _number(text: str, name: str, value: str, lowest: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and int(value) >= lowest):
        raise _wrong(text, f"the {name} is {shortened(value, 40)}, not a number from {lowest} to {_LARGEST_NUMBER}")
    return int(value)


def _rights(text: str, castling: str, letters: list[str]) -> int:
    if castling == "-":
        return 0
    if any(sign not in _RIGHTS for sign in castling) or len(set(castling)) != len(castling):
        raise _wrong(text, f"castling is {shortened(castling, 40)}; write letters of KQkq, or -")
    word = 0
    for sign in castling:
        rook, king = _RIGHTS[sign]
        white = sign.isupper()
        if (letters[rook], letters[king]) != (("R", "K") if white else ("r", "k")):
            raise _wrong(text, f"castling {sign} needs a king on {square_name(king)} and a rook on {square_name(rook)}")
        word |= 1 << rook
    return word


def _passing(text: str, passing: str, letters: list[str], black: bool) -> int:
    if passing == "-":
        return 0
    rank, step = ("3", 8) if black else ("6", -8)
    if len(passing) != 2 or passing[0] not in "abcdefgh" or passing[1] != rank:
        raise _wrong(text, f"en passant is {shortened(passing, 40)}; write a square of rank {rank}, or -")
    square = "abcdefgh".index(passing[0]) + 8 * (int(rank) - 1)
    pawn = "P" if black else "p"
    if letters[square + step] != pawn or letters[square] or letters[square - step]:
        raise _wrong(text, f"no pawn has just moved two squares over {passing}")
    return 1 << square


def _check_moves(texts: Sequence[str], found: Position) -> None:
    """Refuse positions that no move leads to: the side that moved last is in check."""
    table = tables(CPU)
    for text, attacked in zip(texts, other_king_attacked(found, table).tolist(), strict=True):
        if attacked:
            raise _wrong(text, "the side that is not to move is in check")
    counts = mask(legal_moves(found, table).words, table).sum(1).tolist()
    for text, count in zip(texts, counts, strict=True):
        if count > SLOTS:
            raise _wrong(text, f"it has {count} legal moves, more than the {SLOTS} that a game can reach")


def _wrong(text: str, why: str) -> UserError:
    return UserError(f"FEN {shortened(text, 120)}: {why}")
