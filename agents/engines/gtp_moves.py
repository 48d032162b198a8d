"""What a GTP engine thinks about: moves on the clocks of both players, and analysis until the client's next line."""

import re
import time
from collections.abc import Sequence
from typing import Any

from agents.engines.channel import Channel
from agents.engines.clock import Budget, expected_moves
from agents.engines.gtp_analysis import Dialect, Request, info_line
from agents.engines.gtp_board import GtpBoard
from agents.engines.gtp_clock import PlayerClock, TimeSettings
from agents.engines.thinking import Thinker, think
from agents.engines.vertices import COLOURS, PASS, RESIGN
from agents.games.go import Go
from agents.search.growing import GrowingTree, Line

_INTERRUPT = re.compile(r"#\s*interrupt\s*")


class GtpMoves:
    """The moves of the engine on a board.

    resign_below: the engine resigns where its value is below this; None for never.
    """

    def __init__(self, thinker: Thinker, board: GtpBoard, channel: Channel, resign_below: float | None) -> None:
        self._thinker, self._board, self._channel, self._resign_below = thinker, board, channel, resign_below
        self._settings: TimeSettings | None = None
        self._clocks: list[PlayerClock] = []

    def set_time(self, settings: TimeSettings) -> None:
        """The clocks of this game and of those that follow."""
        self._settings = None if settings.unlimited else settings
        self.restart_clocks()

    def restart_clocks(self) -> None:
        """A new game begins."""
        self._clocks = [] if self._settings is None else [PlayerClock(self._settings) for _ in COLOURS]

    def set_time_left(self, player: int, seconds: float, stones: int) -> None:
        """What the clock of a player shows."""
        if not self._clocks:
            self._clocks = [PlayerClock(TimeSettings(0, 0, 0)) for _ in COLOURS]
        self._clocks[player].set(seconds, stones)

    def generate(
        self,
        player: int,
        *,
        request: Request,
        plays: bool = True,
        dialect: Dialect | None = None,
        beginning: str = "",
    ) -> str:
        """The name of a move for `player`, or `resign`; plays: whether it is played on the board.

        dialect: of the info lines that are sent meanwhile, None for none. beginning: sent before them, once it is known
        that there is a move. Raises GtpError before that.
        """
        began = time.monotonic()
        if self._board.over and isinstance(self._board.game, Go):
            self._channel.send(beginning)
            return PASS  # the game has ended by two passes; a client may ask on
        state = self._board.turned(player)
        self._channel.send(beginning)
        tree = self._tree(state, player, request)

        def report() -> None:
            if dialect is not None:
                self._report(dialect, state, tree.lines(), request)

        best = think(tree, self._budget(player), stopped=self._interrupted, report=report, every_s=request.interval_s)
        report()
        if self._clocks:
            self._clocks[player].use(time.monotonic() - began)
        if self._resign_below is not None and best.value < self._resign_below:
            return RESIGN
        name = self._board.name(state, best.actions[0])
        if plays:
            self._board.push(state, best.actions[0])
        return name

    def analyze(self, player: int, dialect: Dialect, request: Request, beginning: str) -> None:
        """Send info lines until the client sends its next line, which may be empty.

        beginning: sent before them, once it is known that there is a move. Raises GtpError before that.
        """
        state = self._board.turned(player)
        tree = self._tree(state, player, request)

        def report() -> None:
            self._report(dialect, state, tree.lines(), request)

        self._channel.send(beginning)
        lines = self._channel.lines
        think(tree, Budget(held=True), stopped=lambda: lines.wait(0.0), report=report, every_s=request.interval_s)
        report()

    def policy(self) -> str:
        """The network's probability of each move in percent, a vertex and a number a line."""
        state = self._board.turned(self._board.mover)
        lines = self._thinker.tree(state).lines(plies=1)
        pairs = [(self._board.name(state, line.actions[0]), round(100 * line.prior)) for line in lines]
        return "\n".join(f"{name} {percent}" for name, percent in pairs if percent and name != PASS)

    def _tree(self, state: Any, player: int, request: Request) -> GrowingTree:
        legal = {name.lower(): action for name, action in self._board.legal(state).items()}
        allowed = {legal[name.lower()] for who, name in request.allowed if who == player and name.lower() in legal}
        avoided = {legal[name.lower()] for who, name in request.avoided if who == player and name.lower() in legal}
        only = [action for action in allowed or legal.values() if action not in avoided]
        return self._thinker.tree(state, only or None)

    def _report(self, dialect: Dialect, state: Any, lines: Sequence[Line], request: Request) -> None:
        def names(line: Line) -> list[str]:
            if self._board.names_depend_on_the_position:
                return self._thinker.names(state, line.actions, self._board.name)
            return [self._board.name(state, action) for action in line.actions]

        self._channel.send(info_line(dialect, lines, names, request) + "\n")

    def _budget(self, player: int) -> Budget:
        if not self._clocks:
            return Budget(simulations=self._thinker.simulations)
        moves = expected_moves(self._board.game, self._board.plies)
        return Budget(seconds=self._clocks[player].clock().allowance_s(moves), on_clock=True)

    def _interrupted(self) -> bool:
        """Whether GoGui's line `# interrupt` has arrived or nobody waits for the move; other lines are kept for later.

        The end of the input alone does not end the search: commands may come from a file.
        """
        line = self._channel.lines.poll()
        if line is not None:
            if _INTERRUPT.fullmatch(line.strip()):
                return True
            self._channel.lines.put_back([line])
        return self._channel.deserted
