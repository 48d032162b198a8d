"""A client of the Universal Chess Interface, for chess and for Breakthrough as Fairy-Stockfish has it.

Source: Stefan Meyer-Kahlen, "Description of the universal chess interface" (2006, https://www.shredderchess.com/).
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from agents.arena.line import CPU, Line
from agents.engines.limits import START_S, Limits
from agents.engines.process import EngineProcess
from agents.engines.uci_positions import uci_game
from agents.games.chess import Chess
from agents.games.chess.fen import INITIAL
from agents.games.game import Game
from lab.config.suggestions import nearest, shortened
from lab.errors import UserError

_OPTION = re.compile(r"option\s+name\s+(.+?)\s+type\s+(\w+)(.*)")
_BOUND = re.compile(r"\b(min|max)\s+(-?\d+)")
_VALUES = re.compile(r"\bvar\s+(.+?)(?=\s+var\s|\s*$)")
_VARIANT = "UCI_Variant"
_SWITCHED_ON_BY = {"uci_elo": "UCI_LimitStrength"}  # options without effect unless another one is set


@dataclass(frozen=True)
class UciOption:
    """An option that an engine offers. low, high: of a number. values: of a choice."""

    name: str
    kind: str
    low: int | None = None
    high: int | None = None
    values: tuple[str, ...] = ()

    def check(self, value: str) -> None:
        """Raises UserError for a value that the engine does not take."""
        wrong = ""
        if self.kind == "spin":
            if not re.fullmatch(r"-?\d{1,12}", value):
                wrong = "a whole number"
            elif (self.low is not None and int(value) < self.low) or (self.high is not None and int(value) > self.high):
                wrong = f"from {self.low} to {self.high}"
        elif self.kind == "check" and value not in ("true", "false"):
            wrong = "true or false"
        elif self.kind == "combo" and value not in self.values:
            wrong = "one of " + ", ".join(self.values[:20])
        if wrong:
            raise UserError(f"the engine's option {self.name} is {wrong}, not {shortened(value, 40)}")


class UciClient:
    """An engine that speaks UCI; see `EngineClient`. Every question has the whole game."""

    def __init__(self, game: Game, process: EngineProcess, limits: Limits, options: Mapping[str, str]) -> None:
        """options: values by name; a name may have other capitals, and _ for spaces.

        Raises UserError for options that the engine does not have and a game that it does not play, and EngineFailure.
        """
        moves = uci_game(game, CPU)
        if moves is None:
            raise UserError(f"UCI is for chess and breakthrough, not for {game.name}; engines of GTP play some games")
        self._game, self._moves, self._process, self._limits = game, moves, process, limits
        self._process.send("uci")
        offered = self._offered()
        self._set_variant(offered)
        for name, value in options.items():
            self._set_option(offered, name, value)
        self._wait_until_ready()

    def new_game(self, seed: int) -> None:
        self._process.send("ucinewgame")
        self._wait_until_ready()

    def ask(self, line: Line) -> None:
        start = "startpos"
        if isinstance(self._game, Chess):
            fen = self._game.fen(line.start)
            start = start if fen == INITIAL else f"fen {fen}"
        # The names of Breakthrough have an x for a capture, and those of UCI have not.
        moves = " ".join(name.replace("x", "") for name in line.names)
        self._process.send(f"position {start}" + (f" moves {moves}" if moves else ""))
        limits = (("nodes", self._limits.nodes), ("depth", self._limits.depth), ("movetime", self._limits.movetime_ms))
        self._process.send("go " + " ".join(f"{name} {value}" for name, value in limits if value is not None))

    def answer(self) -> str:
        words = self._read("bestmove", self._limits.answer_s, "move").split()
        return words[1] if len(words) > 1 else ""

    def find(self, line: Line, text: str) -> int | None:
        return self._moves.find(line.state, text)

    def why_illegal(self, line: Line, text: str) -> str | None:
        return self._game.why_illegal(line.state, text)

    def close(self) -> None:
        self._process.close("quit")

    def kill(self) -> None:
        self._process.kill()

    def _offered(self) -> list[UciOption]:
        deadline = time.monotonic() + START_S
        found = []
        while (line := self._process.read_line(deadline, "answer to uci")) != "uciok":
            matched = _OPTION.fullmatch(line.strip())
            if matched is not None:
                name, kind, rest = matched.groups()
                bounds = {which: int(value) for which, value in _BOUND.findall(rest)}
                found.append(UciOption(name, kind, bounds.get("min"), bounds.get("max"), tuple(_VALUES.findall(rest))))
        return found

    def _set_variant(self, offered: list[UciOption]) -> None:
        """Choose the game where the engine has several."""
        variants = next((option.values for option in offered if option.name == _VARIANT), ())
        wanted = self._moves.variants[0] if self._moves.variants else "chess"
        if wanted in variants:
            self._process.send(f"setoption name {_VARIANT} value {wanted}")
        elif wanted != "chess":
            raise UserError(f"the engine does not play {wanted}: its option {_VARIANT} does not have it")
        if wanted == "breakthrough" and self._game.observation_shape[1:] != (8, 8):
            rows, columns = self._game.observation_shape[1:]
            raise UserError(f"engines of UCI play breakthrough on 8x8 cells, not on {rows}x{columns}")

    def _set_option(self, offered: list[UciOption], name: str, value: str) -> None:
        options = {_plain(option.name): option for option in offered}
        option = options.get(_plain(name))
        if option is None:
            close = nearest(name, [one.name for one in offered])
            names = ", ".join(one.name for one in offered[:20])
            hint = f"did you mean {close!r}?" if close else f"it has {names or 'none'}"
            raise UserError(f"the engine has no option {shortened(name, 40)}; {hint}")
        option.check(value)
        switch = options.get(_plain(_SWITCHED_ON_BY.get(option.name.lower(), "")))
        if switch is not None:
            self._process.send(f"setoption name {switch.name} value true")
        self._process.send(f"setoption name {option.name} value {value}")

    def _wait_until_ready(self) -> None:
        self._process.send("isready")
        self._read("readyok", START_S, "answer to isready")

    def _read(self, word: str, seconds: float, what: str) -> str:
        """The next line that begins with a word; others are skipped."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._process.read_line(deadline, what)
            if line.split(maxsplit=1)[:1] == [word]:
                return line


def _plain(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()
