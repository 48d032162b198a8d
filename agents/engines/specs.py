"""External engines as words of the command line: gnugo:--level=1, stockfish:skill=0, gtp:"COMMAND", uci:"COMMAND".

| word | program and settings |
| --- | --- |
| `gnugo:ARGUMENTS` | GNU Go with the rules of the run; arguments as of its command line, level=N for --level N |
| `gtp-rhino:ARGUMENTS` | gtp-rhino, Othello |
| `stockfish:SETTINGS`, `fairy-stockfish:SETTINGS` | settings by commas or spaces |
| `openspiel:mcts=N`, `openspiel:random` | bots of OpenSpiel, where the package is installed |
| `gtp:COMMAND`, `uci:COMMAND` | any program; settings before the command, as in uci:"nodes=100 lc0 --weights=net" |

Settings are movetime (milliseconds for a move), timeout (seconds that an answer may come late), nodes and depth (UCI),
coordinates (GTP: gtp or game); other names are options of the engine (UCI).
"""

import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from agents.engines.client import EngineClient
from agents.engines.external import EnginePlayer
from agents.engines.gtp_client import GtpClient, GtpSettings
from agents.engines.limits import Limits
from agents.engines.openspiel import openspiel_command
from agents.engines.process import EngineProcess
from agents.engines.uci_client import UciClient
from agents.engines.vertices import Coordinates
from agents.games.game import Game
from agents.games.go import Go
from lab.config.suggestions import shortened
from lab.errors import UserError

GTP, UCI, OPENSPIEL = "gtp", "uci", "openspiel"
MOVETIME_MS = 100
"""Time for a move of an engine of UCI without another limit."""
_SETTING = re.compile(r"([A-Za-z][\w. -]*)=(.*)", re.DOTALL)
_MOST = {"nodes": 10**12, "depth": 1000, "movetime": 24 * 3600 * 1000, "timeout": 24 * 3600}
_FOLDERS = ("/usr/games", "/usr/local/games")  # of Debian's games, which are not on every PATH


@dataclass(frozen=True)
class Program:
    """An engine that has a name of its own. games: those that it plays; other runs are refused.

    arguments: of its command, by the game. aliases: short names of options.
    """

    protocol: str
    command: str
    games: tuple[str, ...]
    arguments: Callable[[Game], Sequence[str]] = lambda game: ()
    aliases: Mapping[str, str] | None = None


def _gnugo(game: Game) -> Sequence[str]:
    """Area scoring where all stones on the board are alive, so that GNU Go must capture what is dead."""
    ko = "--simple-ko" if isinstance(game, Go) and game.ko == "simple" else "--positional-superko"
    return ("--mode", "gtp", "--chinese-rules", "--capture-all-dead", "--forbid-suicide", ko)


_STOCKFISH = {"skill": "Skill Level", "elo": "UCI_Elo"}
PROGRAMS: dict[str, Program] = {
    "gnugo": Program(GTP, "gnugo", ("go",), _gnugo),
    "gtp-rhino": Program(GTP, "gtp-rhino", ("othello",)),
    "stockfish": Program(UCI, "stockfish", ("chess",), aliases=_STOCKFISH),
    "fairy-stockfish": Program(UCI, "fairy-stockfish", ("chess", "breakthrough"), aliases=_STOCKFISH),
}


@dataclass(frozen=True)
class EngineSpec:
    """A parsed word. options: of UCI, by name."""

    name: str
    protocol: str
    command: tuple[str, ...]
    limits: Limits
    options: Mapping[str, str]
    coordinates: Coordinates | None = None

    def start(self, game: Game) -> EngineClient:
        """A new process. Raises UserError and EngineFailure."""
        process = EngineProcess(self.command)
        try:
            if self.protocol == UCI:
                return UciClient(game, process, self.limits, self.options)
            return GtpClient(game, process, self.limits, GtpSettings(self.coordinates))
        except BaseException:
            process.kill()
            raise

    def player(self, game: Game, seed: int) -> EnginePlayer:
        """A player with a process that is ready. Raises UserError."""
        return EnginePlayer(self.name, partial(self.start, game), seed)


def is_engine(word: str) -> bool:
    """Whether a word names an external engine."""
    return word.partition(":")[0] in (GTP, UCI, OPENSPIEL, *PROGRAMS)


def parse_engine(word: str, game: Game) -> EngineSpec:
    """The engine that a word names, for runs of a game. Raises UserError."""
    kind, _, rest = word.partition(":")
    word = " ".join(word.split())  # as it is shown, in one line
    if kind == OPENSPIEL:
        return EngineSpec(word, GTP, tuple(openspiel_command(game, rest)), Limits(), {}, Coordinates.game)
    program = PROGRAMS.get(kind)
    words = _split(word, rest, commas=program is not None)
    if program is None:
        settings, command = _leading_settings(words)
        if not command:
            raise UserError(f'{word}: the command is missing; write {kind}:"PROGRAM ARGUMENTS"')
        return _spec(word, kind, command, settings)
    if game.name not in program.games:
        raise UserError(f"{kind} plays {' and '.join(program.games)}, and the run plays {game.name}")
    path = _found(program.command)
    if program.protocol == UCI:
        settings, rest_of_words = _leading_settings(words)
        if rest_of_words:
            raise UserError(f"{word}: {shortened(rest_of_words[0], 40)} is no setting; write NAME=VALUE")
        return _spec(word, UCI, [path], {(program.aliases or {}).get(k, k): v for k, v in settings.items()})
    limits = {name for name in words if _SETTING.match(name) and name.partition("=")[0] in (*_MOST, "coordinates")}
    arguments = [_argument(one) for one in words if one not in limits]
    settings, _ = _leading_settings([one for one in words if one in limits])
    return _spec(word, GTP, [path, *program.arguments(game), *arguments], settings)


def _split(word: str, text: str, *, commas: bool) -> list[str]:
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    lexer.whitespace += "," * commas
    try:
        return list(lexer)
    except ValueError as error:
        raise UserError(f"{word}: {error}; quote the command so that its own quotes are complete") from None


def _argument(word: str) -> str:
    """level=1 is the argument --level=1."""
    return word if word.startswith("-") or not _SETTING.match(word) else f"--{word}"


def _leading_settings(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """NAME=VALUE before the first other word, and the rest."""
    settings: dict[str, str] = {}
    for number, word in enumerate(words):
        matched = _SETTING.fullmatch(word)
        if matched is None:
            return settings, list(words[number:])
        settings[matched[1]] = matched[2]
    return settings, []


def _spec(word: str, protocol: str, command: Sequence[str], settings: Mapping[str, str]) -> EngineSpec:
    numbers = {name: _number(word, name, settings[name]) for name in _MOST if name in settings}
    limits = Limits(numbers.get("nodes"), numbers.get("depth"), numbers.get("movetime"))
    if "timeout" in numbers:
        limits = replace(limits, timeout_s=float(numbers["timeout"]))
    options = {name: value for name, value in settings.items() if name not in (*_MOST, "coordinates")}
    coordinates = settings.get("coordinates")
    if protocol == UCI:
        if coordinates is not None:
            raise UserError(f"{word}: coordinates are a setting of GTP")
        if not {"nodes", "depth", "movetime"} & set(numbers):
            limits = replace(limits, movetime_ms=MOVETIME_MS)
        return EngineSpec(word, protocol, tuple(command), limits, options)
    if options:
        raise UserError(
            f"{word}: {shortened(next(iter(options)), 40)} is no setting of GTP (movetime, timeout, coordinates); "
            "give options of the program in its command"
        )
    if coordinates not in (None, *Coordinates):
        raise UserError(f"{word}: coordinates are {' or '.join(Coordinates)}, not {shortened(coordinates, 40)}")
    return EngineSpec(
        word, protocol, tuple(command), limits, {}, None if coordinates is None else Coordinates(coordinates)
    )


def _number(word: str, name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 14 and 1 <= int(value) <= _MOST[name]):
        raise UserError(f"{word}: {name} is a whole number from 1 to {_MOST[name]}, not {shortened(value, 40)}")
    return int(value)


def _found(program: str) -> str:
    """The path of a program, also where Debian puts games. Raises UserError."""
    path = shutil.which(program) or next(
        (found for folder in _FOLDERS if (found := shutil.which(program, path=folder)) is not None), None
    )
    if path is None:
        raise UserError(f"{program} is not installed; on Debian: apt-get install {PACKAGES.get(program, program)}")
    return path


PACKAGES = {"gtp-rhino": "grhino"}
"""Debian packages that have another name than their program."""
