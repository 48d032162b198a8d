"""Values in the units of UCI: centipawns, mates, and probabilities of win, draw and loss per mille."""

import math

from agents.search.growing import Line

_SCALE, _SLOPE = 90.0, 1.5637541897
MOST_CENTIPAWNS = 12_000


def score(line: Line) -> str:
    """`cp N`, or `mate 1` for a move that ends the game won.

    The curve is that of Leela Chess Zero (LeelaChessZero/lc0, its score type "centipawn"): 90 tan(1.5637541897 value).
    """
    if line.wins:
        return "mate 1"
    centipawns = _SCALE * math.tan(_SLOPE * min(max(line.value, -1.0), 1.0))
    return f"cp {round(min(max(centipawns, -MOST_CENTIPAWNS), MOST_CENTIPAWNS))}"


def outcomes(value: float, draw: float) -> str:
    """`wdl W D L` per mille, which add up to 1000, of a value in [-1, 1].

    draw: the network's probability of a draw; less is left for it where the value is near 1 or -1.
    """
    value = min(max(value, -1.0), 1.0)
    draws = round(1000 * min(max(draw, 0.0), 1.0 - abs(value)))
    wins = min(round(500 * (1.0 + value) - draws / 2), 1000 - draws)
    return f"wdl {wins} {draws} {1000 - draws - wins}"
