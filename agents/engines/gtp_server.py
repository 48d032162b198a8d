"""A run as a GTP engine (Go Text Protocol, version 2, draft 2), for Go and, by GoGui's rules extension, other games."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from agents.engines.channel import Channel
from agents.engines.gtp_analysis import Dialect, Request, parse_request
from agents.engines.gtp_board import GtpBoard, GtpError
from agents.engines.gtp_clock import TimeSettings
from agents.engines.gtp_moves import GtpMoves
from agents.engines.gtp_rules import analyze_commands, board_size, board_text, final_result, legal_names, rules_json
from agents.engines.thinking import Thinker
from agents.engines.uci_go import whole
from agents.engines.vertices import COLOURS, PLAYERS, Coordinates
from agents.games.go import Go
from lab import __version__
from lab.errors import UserError
from lab.files.plain import read_regular
from lab.terminal.text import one_line

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LARGEST_RECORD = 2**24  # bytes of a file for loadsgf
_MOST_SECONDS = 10**7

Command = Callable[["GtpServer", Sequence[str]], str | None]
"""The answer to a command's arguments; None where the command has answered itself. Raises GtpError or UserError."""


class GtpServer:
    """Serves one client until it quits or closes the input.

    resign_below: the engine resigns where its value is below this; None for never.
    """

    def __init__(
        self,
        thinker: Thinker,
        channel: Channel,
        *,
        coordinates: Coordinates = Coordinates.gtp,
        resign_below: float | None = None,
    ) -> None:
        self._thinker, self._channel = thinker, channel
        self.board = GtpBoard(thinker.game, thinker.device, coordinates)
        self.moves = GtpMoves(thinker, self.board, channel, resign_below)
        self._id = ""

    @torch.inference_mode()
    def serve(self) -> None:
        """Answer commands. Raises BrokenPipeError when the client closes the output."""
        while (line := self._channel.lines.next()) is not None:
            words = _CONTROL.sub("", line.partition("#")[0]).split()
            if not words:
                continue
            self._id = words.pop(0) if words[0].isascii() and words[0].isdecimal() else ""
            if words[:1] == ["quit"]:
                self._answer("=", "")
                return
            self._execute(words)

    def _execute(self, words: Sequence[str]) -> None:
        command = COMMANDS.get(words[0]) if words else None
        if command is None:
            self._answer("?", "unknown command")
            return
        try:
            text = command(self, words[1:])
        except GtpError as error:
            self._answer("?", str(error))
        except UserError as error:
            self._answer("?", one_line(str(error)))
        else:
            if text is not None:
                self._answer("=", text)

    def _answer(self, status: str, text: str) -> None:
        # A line without text would end the answer.
        lines = [line for line in text.split("\n") if line.strip()]
        self._channel.send(f"{status}{self._id} " + "\n".join(lines) + "\n\n" if lines else f"{status}{self._id}\n\n")

    def name(self, words: Sequence[str]) -> str:
        return f"Rivals {one_line(self._thinker.agent.name)}"

    def boardsize(self, words: Sequence[str]) -> str:
        wanted = [whole(word) for word in words]
        _, rows, columns = self._thinker.game.observation_shape
        if not wanted or None in wanted or len(wanted) > 2:
            raise GtpError("boardsize not an integer")
        width, height = wanted[0], wanted[-1]
        # Controllers for square boards name the larger side of another board.
        if (width, height) != (columns, rows) and wanted != [max(rows, columns)]:
            raise GtpError("unacceptable size")
        return self.clear_board(())

    def clear_board(self, words: Sequence[str]) -> str:
        self.board.clear()
        self.moves.restart_clocks()
        return ""

    def komi(self, words: Sequence[str]) -> str:
        try:
            komi = float(words[0])
        except (IndexError, ValueError):
            raise GtpError("komi not a float") from None
        game = self._thinker.game
        if isinstance(game, Go) and komi != game.komi:
            changed = Go(**{**game.options, "komi": komi})
            self._thinker.play(changed)
            self.board.game = changed
        return ""

    def play(self, words: Sequence[str]) -> str:
        if len(words) != 2:
            raise GtpError("invalid color or coordinate")
        self.board.play(_player(words[0]), words[1])
        return ""

    def play_sequence(self, words: Sequence[str]) -> str:
        if len(words) % 2:
            raise GtpError("invalid color or coordinate")
        for count, (colour, name) in enumerate(zip(words[::2], words[1::2], strict=True)):
            try:
                self.play((colour, name))
            except GtpError:
                self.board.undo(count)  # all of them or none
                raise
        return ""

    def undo(self, words: Sequence[str]) -> str:
        moves = whole(words[0]) if words else 1
        if moves is None or moves < 0:
            raise GtpError("not a number of moves")
        self.board.undo(moves)
        return ""

    def handicap(self, words: Sequence[str], *, free: bool) -> str:
        count = whole(words[0]) if len(words) == 1 else None
        if count is None:
            raise GtpError("invalid number of stones")
        cells = self.board.free_handicap(count) if free else self.board.fixed_handicap(count)
        self.board.set_handicap(cells)
        return " ".join(self.board.vertices("X"))

    def set_free_handicap(self, words: Sequence[str]) -> str:
        cells = [self.board.handicap_cell(name) for name in words]
        if len(cells) < 2 or len(set(cells)) < len(cells):
            raise GtpError("bad vertex list")
        self.board.set_handicap(cells)
        return ""

    def loadsgf(self, words: Sequence[str]) -> str:
        # The optional second argument is the number of the move before which to stop.
        number = whole(words[-1]) if len(words) > 1 else None
        path = Path(" ".join(words if number is None else words[:-1]))
        try:
            text = read_regular(path, _LARGEST_RECORD).decode("utf-8", "replace")
        except (OSError, ValueError):
            raise GtpError("cannot open file") from None
        self.board.load(text, None if number is None else max(number - 1, 0))
        return ""

    def time_settings(self, words: Sequence[str]) -> str:
        numbers = [number for word in words if (number := whole(word)) is not None and 0 <= number <= _MOST_SECONDS]
        if len(numbers) != 3 or len(words) != 3:
            raise GtpError("not three integers")
        self.moves.set_time(TimeSettings(*numbers))
        return ""

    def time_left(self, words: Sequence[str]) -> str:
        numbers = [number for word in words[1:] if (number := whole(word)) is not None]
        if len(words) != 3 or len(numbers) != 2 or words[0].lower() not in PLAYERS:
            raise GtpError("time and stones not two integers")
        self.moves.set_time_left(_player(words[0]), float(numbers[0]), max(numbers[1], 0))
        return ""

    def genmove(self, words: Sequence[str], *, plays: bool = True) -> str:
        player = _player(words[0]) if len(words) == 1 else None
        if player is None:
            raise GtpError("invalid color")
        return self.moves.generate(player, plays=plays, request=Request())

    def genmove_analyze(self, words: Sequence[str], *, dialect: Dialect) -> None:
        request = _request(words)
        player = self.board.mover if request.player is None else request.player
        name = self.moves.generate(player, dialect=dialect, request=request, beginning=f"={self._id}\n")
        self._channel.send(f"play {name}\n\n")

    def analyze(self, words: Sequence[str], *, dialect: Dialect) -> None:
        request = _request(words)
        player = self.board.mover if request.player is None else request.player
        self.moves.analyze(player, dialect, request, f"={self._id}\n")
        self._channel.send("\n")

    def final_status_list(self, words: Sequence[str]) -> str:
        # All stones of a game that is scored by area as it stands are alive.
        if not isinstance(self.board.game, Go):
            raise GtpError(f"{self.board.game.name} has no life and death")
        if words and words[0] in ("dead", "seki"):
            return ""
        if words[:1] != ["alive"]:
            raise GtpError("invalid status")
        return " ".join(self.board.vertices("X") + self.board.vertices("O"))

    def forget(self, words: Sequence[str]) -> str:
        self._thinker.forget()
        return ""


def _player(word: str) -> int:
    if word.lower() not in PLAYERS:
        raise GtpError("invalid color")
    return PLAYERS[word.lower()]


def _request(words: Sequence[str]) -> Request:
    try:
        return parse_request(words)
    except (KeyError, ValueError):
        raise GtpError("cannot parse the arguments of the analysis") from None


def _known(server: GtpServer, words: Sequence[str]) -> str:
    return "true" if words[:1] and (words[0] in COMMANDS or words[0] == "quit") else "false"


COMMANDS: dict[str, Command] = {
    "protocol_version": lambda server, words: "2",
    "name": GtpServer.name,
    "version": lambda server, words: __version__,
    "known_command": _known,
    "list_commands": lambda server, words: "\n".join([*COMMANDS, "quit"]),
    "boardsize": GtpServer.boardsize,
    "rectangular_boardsize": GtpServer.boardsize,
    "clear_board": GtpServer.clear_board,
    "komi": GtpServer.komi,
    "play": GtpServer.play,
    "gogui-play_sequence": GtpServer.play_sequence,
    "genmove": GtpServer.genmove,
    "reg_genmove": lambda server, words: server.genmove(words, plays=False),
    "undo": lambda server, words: server.undo(()),
    "gg-undo": GtpServer.undo,
    "fixed_handicap": lambda server, words: server.handicap(words, free=False),
    "place_free_handicap": lambda server, words: server.handicap(words, free=True),
    "set_free_handicap": GtpServer.set_free_handicap,
    "loadsgf": GtpServer.loadsgf,
    "time_settings": GtpServer.time_settings,
    "time_left": GtpServer.time_left,
    "final_score": lambda server, words: server.board.score(),
    "final_status_list": GtpServer.final_status_list,
    "showboard": lambda server, words: board_text(server.board, labelled=True),
    "clear_cache": GtpServer.forget,
    "lz-analyze": lambda server, words: server.analyze(words, dialect="lz"),
    "kata-analyze": lambda server, words: server.analyze(words, dialect="kata"),
    "lz-genmove_analyze": lambda server, words: server.genmove_analyze(words, dialect="lz"),
    "kata-genmove_analyze": lambda server, words: server.genmove_analyze(words, dialect="kata"),
    "kata-get-rules": lambda server, words: rules_json(server.board.game),
    "gogui-interrupt": lambda server, words: "",
    "gogui-analyze_commands": lambda server, words: analyze_commands(),
    "gogui-rules_game_id": lambda server, words: server.board.game.name,
    "gogui-rules_board": lambda server, words: board_text(server.board, labelled=False),
    "gogui-rules_board_size": lambda server, words: board_size(server.board.game),
    "gogui-rules_legal_moves": lambda server, words: legal_names(server.board),
    "gogui-rules_side_to_move": lambda server, words: COLOURS[server.board.mover],
    "gogui-rules_final_result": lambda server, words: final_result(server.board),
    "rivals-policy": lambda server, words: server.moves.policy(),
}
"""Commands by name, but for `quit`."""
