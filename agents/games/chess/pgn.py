"""Games in Portable Game Notation (PGN standard, 1994): the main line of the first game of a text.

Comments (with clocks and evaluations, as Lichess writes them), variations, annotation glyphs and the result are
skipped. Move numbers may be missing or wrong.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agents.games.chess.fen import INITIAL
from lab.config.suggestions import shortened
from lab.errors import UserError

_BEGINNING = re.compile(r"\s*(\[|\{|%|\d+\s*\.)")
_STANDARD = ("", "?", "standard", "chess", "from position", "fromposition", "normal")
_TOKEN = re.compile(
    r"""\s+ | ^%[^\n]* | ;[^\n]* | \{[^}]*\} | \$\d+ | e\.p\. | \d+\s*\.+ | \.+ | [!?]+
    | \[\s*(?P<tag>\w+)\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*\]
    | (?P<open>\() | (?P<close>\)) | (?P<result>1-0|0-1|1/2-1/2|\*)(?=\s|$)
    | (?P<move>--|[A-Za-z0](?:(?!e\.p\.)[\w=+\#!?:-])*)""",
    re.VERBOSE | re.MULTILINE,
)


class Pgn(NamedTuple):
    """fen: of the position before the first move. moves: their names as written. tags: by name."""

    fen: str
    moves: list[str]
    tags: Mapping[str, str]


def is_pgn(text: str) -> bool:
    """Whether a text begins like PGN: with a tag, a comment or the number of a move."""
    return _BEGINNING.match(text) is not None


def read_pgn(text: str) -> Pgn:
    """The first game of a text. Raises UserError for text that is no PGN; the moves are not checked."""
    moves, tags, depth = list[str](), dict[str, str](), 0
    for token in _tokens(text):
        kind, value = token.lastgroup, token[0]
        if kind == "value":
            if moves:
                break  # the next game
            tags.setdefault(token["tag"], re.sub(r"\\(.)", r"\1", token["value"]))
        elif kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            if depth < 0:
                raise UserError("PGN: a variation is closed that was not opened")
        elif depth == 0 and kind == "result":
            break
        elif depth == 0 and kind == "move":
            moves.append(value)
    if depth > 0:
        raise UserError("PGN: a variation is not closed; add )")
    variant = next((value for name, value in tags.items() if name.lower() == "variant"), "")
    if variant.lower() not in _STANDARD:
        raise UserError(f"PGN: the game is of the variant {shortened(variant, 40)}, and only standard chess is known")
    fen = next((value for name, value in tags.items() if name.upper() == "FEN"), INITIAL)
    return Pgn(fen, moves, tags)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            if text[place] == "{":
                raise UserError("PGN: a comment is not closed; add }")
            line = text.count("\n", 0, place) + 1
            raise UserError(f"PGN: line {line} has {shortened(text[place : place + 20], 30)}, which is no PGN")
        yield token
        place = token.end()
