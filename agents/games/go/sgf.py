"""Games of Go in the Smart Game Format, FF[4] (https://www.red-bean.com/sgf/): the main line in and out.

Read: SZ, KM, AB, AW, AE, PL at the start, B and W; variations after the first and other properties are skipped.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from agents.games.go.game import Go, GoState
from agents.games.go.text import result, why_illegal
from lab.config.suggestions import shortened
from lab.errors import UserError

_POINTS = "abcdefghijklmnopqrs"
_TOKEN = re.compile(r"\s*(?:([();])|([A-Za-z]+)\s*((?:\[(?:\\.|[^\]\\])*\]\s*)+))", re.DOTALL)
_VALUE = re.compile(r"\[((?:\\.|[^\]\\])*)\]", re.DOTALL)
_MEANT = ("B", "W", "AB", "AW", "AE", "PL", "SZ", "KM", "GM")
Node = dict[str, list[str]]


class Record(NamedTuple):
    """A game that was read: its rules, the state before the first move (B = 1), the actions, the state after them."""

    game: Go
    start: GoState
    actions: list[int]
    state: GoState


def read_sgf(text: str, **options: object) -> Record:
    """The main line of a game; `options` of `Go` replace those of the file, but for the size, which must be the same.

    Raises UserError for text that is no SGF, for a board of another size, and for moves that are unknown or illegal:
    which one, and why.
    """
    nodes = list(_main_line(text))
    root = nodes[0]
    if root.get("GM", ["1"])[0] not in ("1", ""):
        raise UserError(f"SGF: GM is {shortened(root['GM'][0], 20)}, which is not Go (GM[1])")
    size = int(_number(root, "SZ", 19))
    known: dict[str, object] = {"size": size, "komi": _number(root, "KM", 7.5), **options}
    if known["size"] != size:
        raise UserError(f"SGF: its board is {size}x{size}, and {known['size']}x{known['size']} is wanted")
    game = Go(**known)  # type: ignore[arg-type]  # Go checks its options
    start = _start(game, root)
    state = start
    actions: list[int] = []
    for node in nodes:
        for name in [name for name in node if name in ("B", "W")]:
            number = len(actions) + 1
            player = int(state.plies[0]) % 2
            if "BW".index(name) != player:
                raise UserError(f"SGF: move {number} is by {name}, but it is {'BW'[player]}'s turn")
            actions.append(_action(game, node[name][0], number))
            if not bool(state.allowed[0, actions[-1]]):
                over = bool(game.done(state)[0])
                why = (
                    "is played after the end of the game"
                    if over
                    else f"is illegal: {why_illegal(game, state, actions[-1])}"
                )
                raise UserError(f"SGF: move {number}, {game.action_names[actions[-1]]}, {why}")
            state = game.step(state, torch.tensor(actions[-1:]))
        if node is not root and any(name in node for name in ("AB", "AW", "AE")):
            raise UserError(f"SGF: stones are set up after move {len(actions)}; only the first node may do so")
    return Record(game, start, actions, state)


def write_sgf(game: Go, actions: Sequence[int]) -> str:
    """A game from the empty board as SGF, with its result if it is over. Actions must be legal."""
    state = game.initial(1, torch.device("cpu"))
    moves = []
    for ply, action in enumerate(actions):
        point = "" if action == game.points else "".join(_POINTS[x] for x in reversed(divmod(action, game.size)))
        moves.append(f";{'BW'[ply % 2]}[{point}]")
        state = game.step(state, torch.tensor([action]))
    over = f"RE[{result(game, state, 0)}]" if bool(game.done(state)[0]) else ""
    return f"(;FF[4]GM[1]SZ[{game.size}]KM[{game.komi:g}]RU[Tromp-Taylor]{over}{''.join(moves)})\n"


def _main_line(text: str) -> Iterator[Node]:
    """The nodes of the first game's first variation."""
    node: Node | None = None
    position, depth = 0, 0
    text = text.lstrip("\ufeff").rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or (depth == 0 and token[1] != "("):
            raise UserError(f"SGF: cannot read {shortened(text[position:].strip(), 40)} at character {position + 1}")
        position = token.end()
        if token[1] == "(":
            depth += 1
        elif token[1] == ")":
            # The first variation ends here, with all that it is part of.
            break
        elif token[1] == ";":
            if node is not None:
                yield node
            node = {}
        elif node is None:
            raise UserError(
                f"SGF: {shortened(token[2], 20)} at character {position + 1} is outside a node (no ; before)"
            )
        else:
            # Old files have lower-case letters between those that count: Black[aa].
            name = "".join(c for c in token[2] if c.isupper())
            if name in _MEANT:
                node[name] = [*node.get(name, []), *(value.strip() for value in _VALUE.findall(token[3]))]
    else:
        raise UserError("SGF: the text ends before the game does (no closing parenthesis)")
    if node is None:
        raise UserError("SGF: the game has no nodes")
    yield node


def _number(node: Node, name: str, default: float) -> float:
    value = node.get(name, [""])[0] or str(default)
    try:
        number = float(value)
        if name == "SZ":
            int(value)
    except ValueError:
        raise UserError(f"SGF: {name} is {shortened(value, 20)}, which is not a number") from None
    return number


def _cells(game: Go, node: Node, name: str) -> list[int]:
    """Cells of a list of points; aa:cc is a rectangle."""
    cells = []
    for value in node.get(name, []):
        first, _, last = value.partition(":")
        ends = [_cell(game, point, f"{name} {shortened(value, 20)}") for point in (first, last or first)]
        (top, left), (bottom, right) = (divmod(end, game.size) for end in ends)
        cells += [row * game.size + column for row in range(top, bottom + 1) for column in range(left, right + 1)]
    return cells


def _cell(game: Go, point: str, what: str) -> int:
    places = [_POINTS.find(letter) for letter in point]
    if len(places) != 2 or not all(0 <= place < game.size for place in places):
        raise UserError(f"SGF: {what} is no point of a {game.size}x{game.size} board")
    return places[1] * game.size + places[0]


def _action(game: Go, value: str, number: int) -> int:
    # tt is a pass in files of FF[3] for boards up to 19x19.
    if value == "" or value == "tt":
        return game.points
    return _cell(game, value, f"move {number}, {shortened(value, 20)},")


def _start(game: Go, root: Node) -> GoState:
    stones = torch.zeros(game.points, dtype=torch.int8)
    for name, colour in (("AB", 1), ("AW", -1), ("AE", 0)):
        stones[_cells(game, root, name)] = colour
    turn = root.get("PL", [""])[0][:1].upper()
    # After handicap stones white moves first, unless the file says otherwise.
    player = {"B": 0, "1": 0, "W": 1, "2": 1}.get(turn, int(bool((stones > 0).any()) and not bool((stones < 0).any())))
    return game.setup(stones.view(1, game.size, game.size), player)
