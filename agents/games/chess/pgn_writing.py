"""Writing of games in Portable Game Notation, with evaluations as comments that Lichess and others draw as a graph."""

import math
import textwrap

from agents.games.chess.fen import INITIAL
from agents.games.chess.game import Chess
from agents.games.played import PlayedGame

_RESULTS = {1.0: "1-0", -1.0: "0-1", 0.0: "1/2-1/2", None: "*"}
_WIDTH = 80
_KEPT = "\0"  # stands for a space at which no line is broken
_PER_CENTIPAWN = 0.00368208  # Lichess: winning chances 2 / (1 + exp(-0.00368208 * centipawns)) - 1, in [-1, 1]
_SUREST = 0.9999


def pawns(value: float) -> float:
    """An expected outcome in [-1, 1] as the evaluation in pawns to which Lichess gives these winning chances."""
    sure = min(max(value, -_SUREST), _SUREST)
    return 2 * math.atanh(sure) / _PER_CENTIPAWN / 100


def write_pgn(played: PlayedGame) -> str:
    """One game of chess: the seven tags, the start if it is another, moves in SAN; a blank line ends it."""
    game = played.game
    if not isinstance(game, Chess):
        raise TypeError(f"PGN is for chess, not {game.name}")
    states = list(played.states())
    result = _RESULTS[played.result(states[-1])]
    fen = game.fen(played.start)
    names = [name or "?" for name in (played.event, played.round, *played.players)]
    tags = {
        "Event": names[0],
        "Site": "?",
        "Date": played.date.replace("-", ".") or "????.??.??",
        "Round": names[1],
        "White": names[2],
        "Black": names[3],
        "Result": result,
        **({} if fen == INITIAL else {"SetUp": "1", "FEN": fen}),
        **({"Termination": played.ending} if played.ending else {}),
        **({"Annotator": "Rivals"} if any(value is not None for value in played.values) else {}),
    }
    words: list[str] = []
    numbered = True  # whether Black's move needs its number too
    first = int(game.plies(played.start)[0])
    for ply, (state, action) in enumerate(zip(states, played.actions, strict=False)):
        black = (first + ply) % 2
        if not black or numbered:
            words.append(f"{(first + ply) // 2 + 1}.{'..' * black}")
        words.append(game.san(state, action))
        value, comment = played.value(ply), played.comment(ply)
        numbered = bool(comment)
        if comment:
            # A command is kept on one line.
            score = "" if value is None else f"[%eval{_KEPT}{pawns(value * (1 - 2 * black)):.2f}] "
            words.append(f"{{ {score}{comment.replace('}', ')')} }}")
    heading = "".join(f'[{name} "{_escaped(value)}"]\n' for name, value in tags.items())
    moves = textwrap.fill(" ".join([*words, result]), _WIDTH, break_long_words=False, break_on_hyphens=False)
    moves = moves.replace(_KEPT, " ")
    return f"{heading}\n{moves}\n\n"


def _escaped(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
