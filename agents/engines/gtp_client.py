"""A client of the Go Text Protocol, version 2, for Go and for other games whose engines speak it.

Source: Gunnar Farneback, "Specification of the Go Text Protocol, version 2, draft 2" (2002,
https://www.lysator.liu.se/~gunnar/gtp/); the commands gogui-rules_* and kata-set-rules where an engine has them.
"""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import torch

from agents.arena.line import CPU, Line
from agents.engines.limits import START_S, Limits
from agents.engines.process import EngineFailure, EngineProcess
from agents.engines.vertices import COLOURS, PASS, Coordinates, check_game, find_move, legal_moves, move_name
from agents.games.game import Game
from agents.games.go import Go
from lab.config.suggestions import shortened
from lab.errors import UserError

_RESPONSE = re.compile(r"([=?])(\d*)\s*(.*)", re.DOTALL)
_FEW_LINES = 100_000  # of one response


class GtpRefusal(EngineFailure):
    """The engine answered a command with an error, whose text is `answer`."""

    def __init__(self, what: str, answer: str) -> None:
        super().__init__(f"the {what} is an error: {answer}")
        self.answer = answer


@dataclass(frozen=True)
class GtpSettings:
    """coordinates: None to find them out. set_up: commands for every new game, such as `level 5`."""

    coordinates: Coordinates | None = None
    set_up: tuple[str, ...] = ()


class GtpClient:
    """An engine that speaks GTP; see `EngineClient`.

    The engine keeps its board from move to move: only what was played since is sent, or the whole game if it has
    another one.
    """

    def __init__(self, game: Game, process: EngineProcess, limits: Limits, settings: GtpSettings) -> None:
        """Raises UserError for a game or a size that the engine does not play, and EngineFailure."""
        check_game(game)
        if limits.nodes is not None or limits.depth is not None:
            raise UserError("GTP has no limit of nodes or depth; use movetime, or an option of the engine's command")
        self._game, self._process, self._limits, self._settings = game, process, limits, settings
        self._number = 0
        self._seed = 0
        self._board: list[str] | None = None  # the moves on the engine's board; None where it must be cleared
        self._line: Line | None = None  # the game whose moves have names
        self._moves: list[str] = []
        self._state: Any = None
        self._commands = set(self._run("list_commands").split())
        self._start_board()
        self._coordinates = settings.coordinates or self._found_coordinates()

    def new_game(self, seed: int) -> None:
        self._board, self._seed = None, seed

    def ask(self, line: Line) -> None:
        moves = self._names(line)
        if self._board is None or moves[: len(self._board)] != self._board:
            self._clear()
        assert self._board is not None
        for number in range(len(self._board), len(moves)):
            self._play(number, moves[number])
        self._board = moves
        colour = COLOURS[len(moves) % 2]
        if self._limits.movetime_ms is not None and "time_left" in self._commands:
            self._run(f"time_left {colour} {self._seconds} 1")
        self._send(f"genmove {colour}")

    def answer(self) -> str:
        try:
            move = self._response(self._limits.answer_s, "move")
        except GtpRefusal as refusal:
            raise EngineFailure(f"it gives no move: {refusal.answer}") from None
        self._board = [*(self._board or []), move.lower()]
        return move.lower()

    def find(self, line: Line, text: str) -> int | None:
        return find_move(self._game, line.state, text, self._coordinates)

    def why_illegal(self, line: Line, text: str) -> str | None:
        same_names = self._game.name == "go" or self._coordinates is Coordinates.game
        return self._game.why_illegal(line.state, text) if same_names else None

    def close(self) -> None:
        self._process.close("quit")

    def kill(self) -> None:
        self._process.kill()

    @property
    def _seconds(self) -> int:
        """Of a move; GTP has whole seconds."""
        return max(1, round((self._limits.movetime_ms or 0) / 1000))

    def _start_board(self) -> None:
        """Size, rules and komi; they stay for all games."""
        game = self._game
        _, rows, columns = game.observation_shape
        try:
            if game.name != "go" and "set_game" in self._commands:
                self._run(f"set_game {game.name.replace('_', ' ').title().replace(' ', '')}")
            if game.name != "go" and "gogui-rules_game_id" in self._commands:
                played = self._run("gogui-rules_game_id")
                if _plain(played) != _plain(game.name):
                    raise UserError(f"the engine plays {shortened(played, 40)}, not {game.name}")
            if rows == columns:
                self._run(f"boardsize {rows}")
            elif "rectangular_boardsize" in self._commands:
                self._run(f"rectangular_boardsize {columns} {rows}")
            self._clear()
            if isinstance(game, Go):
                self._run(f"komi {game.komi:g}")
                if "kata-set-rules" in self._commands:
                    self._run(f"kata-set-rules {_rules(game)}")
        except GtpRefusal as refusal:
            raise UserError(
                f"the engine does not play {game.name} on {rows} rows and {columns} columns: {refusal.answer}"
            ) from None

    def _clear(self) -> None:
        self._run("clear_board")
        self._board = []
        if "set_random_seed" in self._commands:
            self._run(f"set_random_seed {self._seed}")
        for command in self._settings.set_up:
            self._run(command)
        if self._limits.movetime_ms is not None:
            self._run(f"time_settings 0 {self._seconds} 1")

    def _play(self, number: int, move: str) -> None:
        try:
            self._run(f"play {COLOURS[number % 2]} {move}")
        except GtpRefusal as refusal:
            if move == PASS and self._game.name == "othello":
                return  # gtp-rhino knows no passes of the opponent: the player who can move is to move
            raise EngineFailure(f"it refuses move {number + 1}, {move}, which is legal: {refusal.answer}") from None

    def _names(self, line: Line) -> list[str]:
        """The GTP names of a game's moves. Games of GTP begin at their first position, so that black has even plies."""
        if line is not self._line:
            self._line, self._moves, self._state = line, [], line.start
        for action in line.actions[len(self._moves) :]:
            self._moves.append(move_name(self._game, self._state, action, self._coordinates).lower())
            self._state = self._game.step(self._state, torch.tensor([action]))
        return list(self._moves)

    def _found_coordinates(self) -> Coordinates:
        """The names of cells: those of the engine's legal moves where it tells them.

        Else vertices as in Go; the game's own in Othello and Hex, whose programs count rows from the top.
        """
        default = Coordinates.game if self._game.name in ("othello", "hex") else Coordinates.gtp
        if self._game.name == "go" or "gogui-rules_legal_moves" not in self._commands:
            return default
        told = {word.lower() for word in self._run("gogui-rules_legal_moves").split()}
        first = self._game.initial(1, CPU)
        fitting = [c for c in Coordinates if {name.lower() for name in legal_moves(self._game, first, c)} == told]
        if not fitting:
            raise UserError(
                f"the engine has other first moves than {self._game.name}: {shortened(' '.join(sorted(told)), 80)}"
            )
        # Both fit where the board is the same upside down: then GoGui's, whose commands the engine has.
        return Coordinates.gtp if Coordinates.gtp in fitting else fitting[0]

    def _run(self, command: str) -> str:
        """The answer to a command that needs no thought. Raises GtpRefusal."""
        self._send(command)
        return self._response(START_S, f"answer to {command.split()[0]}")

    def _send(self, command: str) -> None:
        self._number += 1
        self._process.send(f"{self._number} {command}")

    def _response(self, seconds: float, what: str) -> str:
        """The answer to the last command; other lines before it are skipped. Raises GtpRefusal."""
        deadline = time.monotonic() + seconds
        while not (line := self._process.read_line(deadline, what)).startswith(("=", "?")):
            pass
        lines = []
        while line:
            lines.append(line)
            if len(lines) > _FEW_LINES:
                raise EngineFailure(f"the {what} does not end")
            line = self._process.read_line(deadline, f"end of the {what}")
        matched = _RESPONSE.fullmatch("\n".join(lines))
        assert matched is not None
        sign, number, text = matched.groups()
        if number and number.lstrip("0") != str(self._number):
            raise EngineFailure(f"it answers command {number[:20]} where command {self._number} was asked")
        if sign == "?":
            raise GtpRefusal(what, shortened(text.strip(), 120))
        return text.strip()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _rules(game: Go) -> str:
    """The rules of the game for `kata-set-rules` (KataGo: docs/GTP_Extensions.md)."""
    rules = {
        "ko": game.ko.upper(),
        "scoring": "AREA",
        "tax": "NONE",
        "suicide": False,
        "hasButton": False,
        "whiteHandicapBonus": "0",
        "friendlyPassOk": False,
    }
    return json.dumps(rules)
