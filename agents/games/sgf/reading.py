"""Reading of games in SGF, as servers and programs write them: the main line, played by the rules.

Read: SZ, GM, KM, HA, AB, AW, AE and PL before the first move, B and W; PB, PW, RE and other properties of the root are
returned. Variations after the first one, markup and comments are skipped. What files have beyond the specification is
understood where it has one meaning: handicap stones that are placed as moves (HA), passes after the end, Othello
without the passes, games in which White begins, points of Hex in letters.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from agents.games.game import Game
from agents.games.sgf.boards import CPU, NAMES, Owners, SgfBoard, sgf_board
from agents.games.sgf.tree import Node, decoded, main_line, text_of
from lab.config.suggestions import shortened
from lab.errors import UserError

_SETUP = {"AB": 1, "AW": -1, "AE": 0}
_ENDINGS = ("resign", "forfeit")
_DEFAULT_SIZE = {"go": 19}
_OTHER = {"B": "W", "W": "B"}


class SgfRecord(NamedTuple):
    """A game that was read.

    start: the state before the first move (B = 1). actions: the moves. state: after them. root: properties of the first
    node as written. left_out: moves after the end of the game by these rules.
    """

    game: Game
    start: Any
    actions: list[int]
    state: Any
    root: Node
    left_out: int = 0

    def info(self, name: str) -> str:
        """The text of a property of the root, such as PB, the name of Black; "" for none."""
        return text_of(self.root.get(name, [""])[0])


class _Move(NamedTuple):
    colour: str
    value: str


def read_sgf(text: str | bytes, game: Game | None = None, *, beyond_end: bool = False) -> SgfRecord:
    """The main line of the first game of a file.

    game: the rules, whose board must have the size of the file's; by default those that GM, SZ and KM of the file say.
    The game's own komi counts. beyond_end: leave out moves after the end of the game instead of refusing them.
    Raises UserError for text that is no SGF, for another game or board, and for moves that are unknown or illegal:
    which one, and why.
    """
    nodes = main_line(decoded(text) if isinstance(text, bytes) else text)
    root = nodes[0]
    game = _game_of(root) if game is None else game
    board = sgf_board(game)
    _check_game(root, game, board)
    moves = [_Move(name, node[name][0]) for node in nodes for name in node if name in ("B", "W")]
    owners = _set_up(nodes, board)
    handicap = _handicap_moves(root, moves)
    if handicap:
        owners = owners or [0] * (board.rows * board.columns)
        for move in moves[:handicap]:
            row, column = _cell(board, move.value, f"handicap stone {shortened(move.value, 20)}")
            owners[row * board.columns + column] = 1
        moves = moves[handicap:]
    # LittleGolem's games of Hex begin with W: who moves first is player 0.
    if board.first_mover_is_black and owners is None and moves and moves[0].colour == "W":
        moves = [_Move(_OTHER[move.colour], move.value) for move in moves]
    start = _start(nodes, game, board, owners, moves)
    state, actions, left_out = _played(game, board, start, moves, beyond_end)
    return SgfRecord(game, start, actions, state, root, left_out)


def _game_of(root: Node) -> Game:
    from agents.games.registry import make  # which knows all games

    number = root.get("GM", ["1"])[0] or "1"
    names = {"1": "go", "2": "othello", "4": "gomoku", "11": "hex"}
    if number not in names:
        what = NAMES.get(int(number), "another game") if number.isdecimal() and len(number) < 4 else "no number"
        raise UserError(f"SGF: GM is {shortened(number, 20)} ({what}), not Go, Othello, Gomoku or Hex")
    name = names[number]
    options: dict[str, bool | int | float | str | None] = {}
    size = _size(root)
    if size is not None and size[0] != size[1]:
        raise UserError(f"SGF: its board is {size[0]}x{size[1]}, and {name} has square boards")
    if size is not None:
        options["size"] = size[0]
    if name == "go" and root.get("KM", [""])[0]:
        options["komi"] = _number(root, "KM")
    return make(name, **options)


def _check_game(root: Node, game: Game, board: SgfBoard) -> None:
    number = root.get("GM", [""])[0]
    expected = board.number or 1  # what is left out is 1
    if number not in ("", str(expected)):
        known = NAMES.get(int(number), "") if number.isdecimal() and len(number) < 4 else ""
        title = NAMES[expected] if board.number else game.name
        wanted = f"GM[{expected}]" if board.number else "a game without GM"
        raise UserError(
            f"SGF: GM is {shortened(number, 20)}{f' ({known})' * bool(known)}, which is not {title} ({wanted})"
        )
    size, default = _size(root), _DEFAULT_SIZE.get(game.name)
    if size is None and default:
        size = (default, default)
    if size is not None and size != (board.columns, board.rows):
        raise UserError(
            f"SGF: its board is {size[0]}x{size[1]}, and {board.columns}x{board.rows} is wanted (columns x rows)"
        )


def _size(root: Node) -> tuple[int, int] | None:
    """Columns and rows of SZ: `[9]` or `[7:6]`."""
    value = root.get("SZ", [""])[0]
    if not value:
        return None
    columns, colon, rows = value.partition(":")
    parts = [part.strip() for part in ([columns, rows] if colon else [columns, columns])]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise UserError(f"SGF: SZ is {shortened(value, 20)}, which is not a number, or two with a colon between them")
    return int(parts[0]), int(parts[1])


def _number(node: Node, name: str) -> float:
    value = node[name][0]
    try:
        return float(value)
    except ValueError:
        raise UserError(f"SGF: {name} is {shortened(value, 20)}, which is not a number") from None


def _set_up(nodes: list[Node], board: SgfBoard) -> Owners | None:
    """The stones that are set up before the first move; None for none. A later set-up is refused."""
    owners: Owners | None = None
    moves = 0
    for node in nodes:
        moves += sum(name in node for name in ("B", "W"))
        if not any(name in node for name in _SETUP):
            continue
        if moves:
            raise UserError(f"SGF: stones are set up after move {moves}; only nodes before the first move may do so")
        owners = owners or [0] * (board.rows * board.columns)
        for name, owner in _SETUP.items():
            for cell in _cells(board, node, name):
                owners[cell] = owner
    return owners


def _handicap_moves(root: Node, moves: list[_Move]) -> int:
    """Moves of Black before White's first one that place his handicap; 0 where the turns alternate from the start."""
    handicap = root.get("HA", ["0"])[0]
    if not handicap.isdecimal() or int(handicap[:3]) < 2:
        return 0
    first = next((number for number, move in enumerate(moves) if move.colour == "W"), len(moves))
    return first if first > 1 else 0


def _start(nodes: list[Node], game: Game, board: SgfBoard, owners: Owners | None, moves: list[_Move]) -> Any:
    initial = game.initial(1, CPU)
    turn = next((node["PL"][0] for node in nodes if node.get("PL")), "")[:1].upper()
    player = {"B": 0, "1": 0, "W": 1, "2": 1}.get(turn)
    if player is None and moves:
        player = "BW".index(moves[0].colour)
    if player is None and owners is not None and board.first_mover_is_black:
        player = int(owners.count(1) > owners.count(-1))
    if player is None:
        # After handicap stones White moves first.
        player = int(owners is not None and 1 in owners and -1 not in owners)
    if owners is None and player == int(game.player(initial)[0]):
        return initial
    if owners is None and board.first_mover_is_black:
        raise UserError(f"SGF: PL says that White moves first; in {game.name} that takes a stone of Black's")
    return board.setup(owners or board.owners(initial), player)


def _played(
    game: Game, board: SgfBoard, state: Any, moves: list[_Move], beyond_end: bool
) -> tuple[Any, list[int], int]:
    """The state after the moves, their actions, and how many were left out."""
    actions: list[int] = []
    for number, move in enumerate(moves, start=1):
        value = move.value.lower() if board.cell_numbers else move.value
        if board.cell_numbers and value in _ENDINGS:
            break
        if bool(game.done(state)[0]):
            if board.pass_action is not None and value in ("", "tt"):
                continue  # some rules have a third pass
            if beyond_end:
                return state, actions, len(moves) - number + 1
            raise UserError(f"SGF: move {number}, {shortened(value, 20)[1:-1]}, is played after the end of the game")
        for passed in _unwritten_passes(game, board, state, move):
            actions.append(passed)
            state = game.step(state, torch.tensor([passed]))
        mover = "BW"[int(game.player(state)[0])]
        if move.colour != mover:
            raise UserError(f"SGF: move {number} is by {move.colour}, but it is {mover}'s turn")
        action = _action(game, board, state, value, number)
        if not bool(game.legal(state)[0, action]):
            name = game.move_name(state, action)
            why = game.why_illegal(state, name) or "not legal here"
            raise UserError(f"SGF: move {number}, {name}, is illegal: {why}")
        actions.append(action)
        state = game.step(state, torch.tensor([action]))
    return state, actions, 0


def _unwritten_passes(game: Game, board: SgfBoard, state: Any, move: _Move) -> Iterator[int]:
    """A pass that the rules force and the file leaves out."""
    passes = board.pass_action
    if passes is None or move.colour == "BW"[int(game.player(state)[0])]:
        return
    legal = game.legal(state)[0]
    if bool(legal[passes]) and int(legal.sum()) == 1 and game.name == "othello":
        yield passes


def _action(game: Game, board: SgfBoard, state: Any, value: str, number: int) -> int:
    # tt is a pass in files of FF[3] for boards up to 19x19.
    if board.pass_action is not None and value in ("", "tt", "pass"):
        return board.pass_action
    if board.cell_numbers and value.startswith("swap"):
        if value not in ("swap", "swap-pieces"):
            raise UserError(f"SGF: move {number} is {shortened(value, 20)}; only swap-pieces is known")
        if board.swap_action is None:
            raise UserError(f"SGF: move {number} swaps, and this game has no swap (game.options.swap=true)")
        return board.swap_action
    row, column = _cell(board, value, f"move {number}, {shortened(value, 20)},")
    try:
        return board.action(state, row, column)
    except UserError as error:
        raise UserError(f"SGF: move {number}, {shortened(value, 20)[1:-1]}, is illegal: {error}") from None


def _cells(board: SgfBoard, node: Node, name: str) -> list[int]:
    """Cells of a list of points; aa:cc is a rectangle."""
    cells = []
    for value in node.get(name, []):
        if not value:
            continue
        first, _, last = value.partition(":")
        what = f"{name} {shortened(value, 20)}"
        (top, left), (bottom, right) = (_cell(board, point.strip(), what) for point in (first, last or first))
        cells += [row * board.columns + column for row in range(top, bottom + 1) for column in range(left, right + 1)]
    return cells


def _cell(board: SgfBoard, point: str, what: str) -> tuple[int, int]:
    found = board.find(point)
    if found is None:
        raise UserError(f"SGF: {what} is no point of a {board.columns}x{board.rows} board")
    return found
