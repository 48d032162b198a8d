"""The game that a GTP client plays: its positions, whose turn it is, undo, handicap stones.

GTP lets a client play several moves of one colour and ask for a move of either. In Go the other player passes then;
where that would end the game, or the game is over, the board goes on from its stones without what happened before. In
the other games a move of the wrong colour is an error.
"""

from collections.abc import Sequence
from typing import Any

import torch

from agents.engines.vertices import COLOURS, PASS, Coordinates, find_move, legal_moves, move_name, vertex
from agents.games.game import Game
from agents.games.go import Go
from agents.games.go.area import area_score
from agents.games.go.geometry import geometry
from agents.games.go.text import result
from agents.games.line_game import LineGame
from agents.games.othello import Othello


class GtpError(Exception):
    """An answer that begins with a question mark."""


class GtpBoard:
    """States of one game, B = 1, the first one first."""

    def __init__(self, game: Game, device: torch.device, coordinates: Coordinates) -> None:
        self.game, self._device, self.coordinates = game, device, coordinates
        self.clear()

    @property
    def state(self) -> Any:
        return self._states[-1]

    @property
    def over(self) -> bool:
        return bool(self.game.done(self.state)[0])

    @property
    def mover(self) -> int:
        return int(self.game.player(self.state)[0])

    @property
    def plies(self) -> int:
        return int(self.game.plies(self.state)[0])

    @property
    def begun(self) -> bool:
        """Whether something was played or set up."""
        return len(self._states) > 1

    def clear(self) -> None:
        """An empty board."""
        self._states = [self.game.initial(1, self._device)]

    def undo(self, moves: int = 1) -> None:
        """Take moves back, all of them or, with a GtpError, none where there are not so many."""
        if moves >= len(self._states):
            raise GtpError("cannot undo")
        del self._states[len(self._states) - moves :]

    def turned(self, player: int) -> Any:
        """The position with `player` to move, running. Raises GtpError."""
        if isinstance(self.game, Go):
            return self._turned(self.game, player)
        if self.over:
            raise GtpError("the game is over")
        if player != self.mover:
            raise GtpError(f"illegal move: it is the turn of {COLOURS[self.mover]}")
        return self.state

    def play(self, player: int, name: str) -> None:
        """Play a move. Raises GtpError for one that is illegal."""
        state = self.turned(player)
        action = find_move(self.game, state, name, self.coordinates)
        if action is None:
            raise GtpError("illegal move")
        self.push(state, action)

    def push(self, state: Any, action: int) -> None:
        """Play a legal action in a state of `turned`."""
        self._states.append(self._after(state, action))

    def name(self, state: Any, action: int) -> str:
        """The name of a legal action."""
        return move_name(self.game, state, action, self.coordinates)

    @property
    def names_depend_on_the_position(self) -> bool:
        """Whether an action can have different names: in Hex, and where stones fall down."""
        falling = isinstance(self.game, LineGame) and self.game.gravity
        return falling or type(self.game).move_name is not Game.move_name

    def legal(self, state: Any) -> dict[str, int]:
        """The legal actions by name."""
        return legal_moves(self.game, state, self.coordinates)

    def load(self, text: str, moves: int | None) -> None:
        """The position of a record, such as SGF. moves: only the first so many. Raises UserError."""
        record = self.game.read_record(text, self._device)
        if record is None:
            raise GtpError("cannot load file")
        states = [record.start]
        for name in record.moves[:moves]:
            action = self.game.find_move(states[-1], name)
            assert action is not None  # the record was read by the rules
            states.append(self._after(states[-1], action))
        self._states = states

    def score(self) -> str:
        """The result as GTP writes it: B+3.5, W+1, 0. Raises GtpError where there is none yet.

        In Go the area of the stones as they stand, all of which count as alive.
        """
        if isinstance(self.game, Go):
            stones = self.state.stones
            area = area_score(geometry(self.game.size, stones.device), stones, fixed_rounds=False)
            return result(self.game, self.state._replace(score=area), 0)
        if not self.over:
            raise GtpError("cannot score: the game is not over")
        reward = int(self.game.reward(self.state)[0, 0])
        margin = abs(int(self.game.margin(self.state)[0])) if isinstance(self.game, Othello) else 1
        return f"{'B' if reward > 0 else 'W'}+{margin}" if reward else "0"

    def stones(self) -> list[list[str]]:
        """The rows of the board from the top: X for black, O for white, a dot for an empty cell."""
        board = self.game.board(self.state)
        if board is None:
            raise GtpError("the game has no board")
        signs = {-1: ".", 0: "X", 1: "O"}
        return [[signs[owner] for owner in row] for row in board.owners]

    def vertices(self, sign: str) -> list[str]:
        """Vertices of the cells with a sign of `stones`."""
        grid = self.stones()
        return [
            vertex(row, column, len(grid))
            for row, line in enumerate(grid)
            for column, found in enumerate(line)
            if found == sign
        ]

    def set_handicap(self, cells: Sequence[tuple[int, int]]) -> None:
        """Black stones on an empty board of Go, white to move. Raises GtpError."""
        game = self._go()
        if self.begun:
            raise GtpError("board not empty")
        stones = torch.zeros((1, game.size, game.size), dtype=torch.int8, device=self._device)
        for row, column in cells:
            stones[0, row, column] = 1
        self._states.append(game.setup(stones, 1))

    def handicap_cell(self, name: str) -> tuple[int, int]:
        """The cell of a vertex of an empty board. Raises GtpError."""
        game = self._go()
        action = find_move(game, game.initial(1, self._device), name, self.coordinates)
        if action is None or name.lower() == PASS:
            raise GtpError("bad vertex list")
        return divmod(action, game.size)

    def fixed_handicap(self, count: int) -> list[tuple[int, int]]:
        """The cells of a fixed handicap (GTP 2, section 4.1.1). Raises GtpError for a number that the board has not."""
        size = self._go().size
        most = 0 if size < 7 else 9 if size % 2 and size > 7 else 4
        if not 2 <= count <= most:
            raise GtpError("invalid number of stones")
        near = 2 if size < 13 else 3
        far, middle = size - 1 - near, size // 2
        corners = [(far, near), (near, far), (near, near), (far, far)]
        sides = [(middle, near), (middle, far), (far, middle), (near, middle)]
        cells = corners[: min(count, 4)] + sides[: (count - 4) // 2 * 2 if count > 5 else 0]
        return [*cells, (middle, middle)] if count in (5, 7, 9) else cells

    def free_handicap(self, count: int) -> list[tuple[int, int]]:
        """The cells of a handicap of the engine's choice: the fixed ones where there are so many.

        Otherwise cells around the centre of which no two are neighbours, fewer than `count` where the board is full.
        Raises GtpError.
        """
        game = self._go()
        if not 2 <= count < game.points:
            raise GtpError("invalid number of stones")
        try:
            return self.fixed_handicap(count)
        except GtpError:
            middle = (game.size - 1) / 2
            cells = [(row, column) for row in range(game.size) for column in range(game.size) if (row + column) % 2]
            return sorted(cells, key=lambda cell: (abs(cell[0] - middle) + abs(cell[1] - middle), cell))[:count]

    def _after(self, state: Any, action: int) -> Any:
        return self.game.step(state, torch.tensor([action], device=self._device))

    def _go(self) -> Go:
        if not isinstance(self.game, Go):
            raise GtpError(f"{self.game.name} has no handicap")
        return self.game

    def _turned(self, game: Go, player: int) -> Any:
        state = self.state
        if player != self.mover and not self.over:
            state = self._after(state, game.points)
        if bool(game.done(state)[0]):
            stones = torch.tensor(game.stones(self.state), dtype=torch.int8, device=self._device)
            state = game.setup(stones.view(1, game.size, game.size), player)
        return state
