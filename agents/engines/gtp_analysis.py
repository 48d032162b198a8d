"""The analysis commands of Leela Zero and KataGo: their arguments and their info lines.

Formats: lightvector/KataGo, docs/GTP_Extensions.md. The networks here know no score and no ownership, so that the
fields scoreLead and ownership are left out, as is lcb, whose variance the search does not keep.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.engines.uci_go import whole
from agents.engines.vertices import PLAYERS
from agents.search.growing import Line

Dialect = Literal["lz", "kata"]
DEFAULT_INTERVAL_S = 1.0
_IGNORED = frozenset(
    [
        "ownership",
        "ownershipStdev",
        "movesOwnership",
        "movesOwnershipStdev",
        "pvVisits",
        "pvEdgeVisits",
        "noResultValue",
    ]
)


@dataclass(frozen=True)
class Request:
    """What a client wants to see.

    player: None for the one to move. allowed, avoided: names of moves of each player, where a list was given.
    """

    player: int | None = None
    interval_s: float = DEFAULT_INTERVAL_S
    fewest: int = 0
    most: int | None = None
    root: bool = False
    allowed: tuple[tuple[int, str], ...] = ()
    avoided: tuple[tuple[int, str], ...] = ()


def parse_request(words: Sequence[str]) -> Request:
    """The arguments of `lz-analyze` and `kata-analyze`. Raises ValueError for others."""
    rest = list(words)
    player = PLAYERS[rest.pop(0).lower()] if rest and rest[0].lower() in PLAYERS else None
    interval, fewest, most, root = DEFAULT_INTERVAL_S, 0, None, False
    moves: dict[str, list[tuple[int, str]]] = {"allow": [], "avoid": []}
    if rest and (number := whole(rest[0])) is not None:
        interval = _seconds(number)
        del rest[0]
    while rest:
        name = rest.pop(0)
        if name in moves:
            colour, names, *_ = (*rest[:2], "", "")
            moves[name] += [(PLAYERS[colour.lower()], move) for move in names.split(",") if move]
            rest = rest[3 if rest[2:] and whole(rest[2]) is not None else 2 :]
            continue
        if not rest:
            raise ValueError(f"{name} has no value")
        value = rest.pop(0)
        number = whole(value)
        if name == "interval" and number is not None:
            interval = _seconds(number)
        elif name in ("minmoves", "maxmoves") and number is not None and number >= 0:
            fewest, most = (number, most) if name == "minmoves" else (fewest, number)
        elif name == "rootInfo" and value.lower() in ("true", "false"):
            root = value.lower() == "true"
        elif name not in _IGNORED:
            raise ValueError(f"{name} {value}")
    return Request(player, interval, fewest, most, root, tuple(moves["allow"]), tuple(moves["avoid"]))


def info_line(dialect: Dialect, lines: Sequence[Line], names: Callable[[Line], Sequence[str]], request: Request) -> str:
    """One line with all moves that have visits, the best first, from the view of the player to move.

    names: of the moves of a line.
    """
    visited = [line for line in lines if line.visits]
    shown = (visited if len(visited) >= request.fewest else lines[: request.fewest])[: request.most]
    # A client waits for an answer even if no simulation has ended yet.
    infos = [_info(dialect, order, line, names(line)) for order, line in enumerate(shown or lines[:1])]
    if request.root and dialect == "kata":
        visits = sum(line.visits for line in lines)
        value = sum(line.visits * line.value for line in lines) / visits if visits else lines[0].value
        infos.append(f"rootInfo visits {visits} utility {value:.6f} winrate {_winrate(value):.6f}")
    return " ".join(infos)


def _info(dialect: Dialect, order: int, line: Line, names: Sequence[str]) -> str:
    winrate = _winrate(line.value)
    if dialect == "lz":
        numbers = f"winrate {round(10_000 * winrate)} prior {round(10_000 * line.prior)}"
    else:
        numbers = f"utility {line.value:.6f} winrate {winrate:.6f} prior {line.prior:.6f}"
    return f"info move {names[0]} visits {line.visits} {numbers} order {order} pv {' '.join(names)}"


def _winrate(value: float) -> float:
    """A draw counts as half a win."""
    return min(max((value + 1.0) / 2.0, 0.0), 1.0)


def _seconds(centiseconds: int) -> float:
    return max(centiseconds, 1) / 100.0
