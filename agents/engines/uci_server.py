"""A run as a UCI engine (the Universal Chess Interface of Kahlen and Meyer-Kahlen, 2006).

Every `go` is answered by exactly one `bestmove`, whatever arrives meanwhile: `stop`, `quit` and the end of the input
end the search with the move that is best so far. A command that needs another position waits for a search with a limit,
and ends one without.
"""

from collections.abc import Sequence
from typing import Any

import torch

from agents.engines.channel import Channel
from agents.engines.clock import Budget, Clock, expected_moves
from agents.engines.thinking import DEFAULT_MEMORY_MB, LARGEST_MEMORY_MB, Thinker, think
from agents.engines.uci_go import GoArguments, parse_go, parse_option, whole
from agents.engines.uci_positions import UciGame
from agents.engines.uci_score import outcomes, score
from agents.search.growing import GrowingTree, Line
from lab import __version__
from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.terminal.text import one_line

_INFO_S = 1.0
_MOST_LINES, _MOST_THREADS, _MOST_SIMULATIONS, _MOST_OVERHEAD_MS = 256, 256, 10_000_000, 5_000
_WAITING = ("position", "go", "ucinewgame")  # commands that need the search to be over


class UciServer:
    """Serves one client until it quits or closes the input."""

    def __init__(self, thinker: Thinker, game: UciGame, channel: Channel) -> None:
        self._thinker, self._game, self._channel = thinker, game, channel
        self._lines = 1
        self._show_wdl = False
        self._overhead_ms = 50
        self._fen: str | None = None
        self._moves: list[str] = []
        self._states = [game.start(None)]
        """The states after 0, 1, ... of the moves."""

    @torch.inference_mode()
    def serve(self) -> None:
        """Answer commands. Raises BrokenPipeError when the client closes the output."""
        while (line := self._channel.lines.next()) is not None:
            if not self._execute(line.split()):
                return

    def _execute(self, words: Sequence[str]) -> bool:
        """Execute one command; returns whether to go on. What comes before a known command is ignored."""
        for place, word in enumerate(words):
            rest = words[place + 1 :]
            match word:
                case "uci":
                    self._introduce()
                case "isready":
                    self._send("readyok")
                case "setoption":
                    self._set(*parse_option(rest))
                case "ucinewgame":
                    self._thinker.forget()
                    self._place(None, ())
                case "position":
                    self._position(rest)
                case "go":
                    self._go(rest)
                case "quit":
                    return False
                case "stop" | "ponderhit" | "debug" | "register":
                    pass  # there is no search to end, and nothing to register
                case _:
                    continue
            return True
        if words:
            self._say(f"unknown command: {shortened(' '.join(words))[1:-1]}")
        return True

    def _introduce(self) -> None:
        options = [
            f"Hash type spin default {DEFAULT_MEMORY_MB} min 1 max {LARGEST_MEMORY_MB}",
            f"Threads type spin default {torch.get_num_threads()} min 1 max {_MOST_THREADS}",
            f"MultiPV type spin default 1 min 1 max {_MOST_LINES}",
            "Ponder type check default false",
            "UCI_AnalyseMode type check default false",
            "UCI_ShowWDL type check default false",
            f"Simulations type spin default {self._thinker.simulations} min 0 max {_MOST_SIMULATIONS}",
            f"Move Overhead type spin default {self._overhead_ms} min 0 max {_MOST_OVERHEAD_MS}",
            "Clear Hash type button",
        ]
        if self._game.variants:
            names = " ".join(f"var {name}" for name in self._game.variants)
            options.append(f"UCI_Variant type combo default {self._game.variants[0]} {names}")
        self._send(f"id name Rivals {__version__} {one_line(self._thinker.agent.name)}", "id author the Rivals authors")
        self._send(*(f"option name {option}" for option in options), "uciok")

    def _set(self, name: str, value: str) -> None:
        number, flag = whole(value), {"true": True, "false": False}.get(value.lower())
        match name.lower():
            case "hash" if number is not None and 1 <= number <= LARGEST_MEMORY_MB:
                self._thinker.memory_mb = number
            case "threads" if number is not None and 1 <= number <= _MOST_THREADS:
                torch.set_num_threads(number)
            case "multipv" if number is not None and 1 <= number <= _MOST_LINES:
                self._lines = number
            case "simulations" if number is not None and 0 <= number <= _MOST_SIMULATIONS:
                self._thinker.simulations = number
            case "move overhead" if number is not None and 0 <= number <= _MOST_OVERHEAD_MS:
                self._overhead_ms = number
            case "uci_showwdl" if flag is not None:
                self._show_wdl = flag
            case "ponder" | "uci_analysemode" if flag is not None:
                pass  # the client decides when the engine ponders and analyses
            case "clear hash":
                self._thinker.forget()
            case "uci_variant" if value in self._game.variants:
                pass
            case _:
                self._say(f"option {name!r} takes no {value!r}; ignored")

    def _position(self, words: Sequence[str]) -> None:
        """`position startpos|fen FEN [moves ...]`. A mistake leaves the position as far as it is known."""
        before, moves = list(words), list[str]()
        if "moves" in before:
            at = before.index("moves")
            before, moves = before[:at], before[at + 1 :]
        try:
            if before[:1] == ["startpos"]:
                self._place(None, moves)
            elif before[:1] == ["fen"]:
                self._place(" ".join(before[1:]), moves)
            else:
                self._say("position takes startpos or fen; ignored")
        except UserError as error:
            self._say(str(error))

    def _place(self, fen: str | None, moves: Sequence[str]) -> None:
        """Set up a position. Clients send the whole game each time, so that mostly one or two moves are new."""
        if fen != self._fen:
            first = self._game.start(fen)  # raises for a mistake, and the position stays
            self._fen, self._moves, self._states = fen, [], [first]
        same = [new == old for new, old in zip(moves, self._moves, strict=False)]
        known = same.index(False) if False in same else len(same)
        del self._moves[known:], self._states[known + 1 :]
        for name in moves[known:]:
            action = self._game.find(self._states[-1], name)
            if action is None:
                self._say(f"move {len(self._moves) + 1}, {name}, is illegal; it and what follows are ignored")
                return
            self._states.append(self._game.step(self._states[-1], action))
            self._moves.append(name)

    def _go(self, words: Sequence[str]) -> None:
        limits, wrong = parse_go(words)
        if wrong:
            self._say(f"go: ignored {' '.join(wrong)}")
        state = self._game.playable(self._states[-1])
        game = self._thinker.game
        if bool(game.done(state)[0]):
            self._say("the game is over")
            self._wait_for_release(limits)
            self._send(f"bestmove {self._game.any_move(state) or '(none)'}")
            return
        only = [action for name in limits.moves if (action := self._game.find(state, name)) is not None]
        tree = self._thinker.tree(state, only or None)
        budget = self._budget(limits, int(game.player(state)[0]), int(game.plies(state)[0]))
        deferred = list[str]()
        draw = self._thinker.draw_probability(state) if self._show_wdl else 0.0

        def report() -> None:
            self._inform(state, tree, tree.lines(self._lines), budget, draw)

        best = think(tree, budget, stopped=lambda: self._interrupted(budget, deferred), report=report, every_s=_INFO_S)
        self._channel.lines.put_back(deferred)
        report()
        moves = self._thinker.names(state, best.actions[:2], self._game.name)
        self._send(" ponder ".join([f"bestmove {moves[0]}", *moves[1:]]))

    def _budget(self, limits: GoArguments, player: int, plies: int) -> Budget:
        numbers = limits.numbers
        seconds, on_clock = None, False
        if "movetime" in numbers:
            seconds = max((numbers["movetime"] - self._overhead_ms) / 1000, 0.0)
        elif ("wtime", "btime")[player] in numbers:
            left, gain = (numbers.get(name, 0) / 1000 for name in (("wtime", "winc"), ("btime", "binc"))[player])
            clock = Clock(left, gain, numbers.get("movestogo") or None)
            seconds = clock.allowance_s(expected_moves(self._thinker.game, plies), self._overhead_ms / 1000)
            on_clock = True
        simulations = numbers.get("nodes")
        if simulations is None and seconds is None and "depth" not in numbers:
            simulations = self._thinker.simulations  # also for `mate N`: this search proves no mates
        held = limits.infinite or limits.ponder
        if limits.infinite:
            simulations = seconds = None
        return Budget(
            simulations=simulations, seconds=seconds, depth=numbers.get("depth"), held=held, on_clock=on_clock
        )

    def _interrupted(self, budget: Budget, deferred: list[str]) -> bool:
        """Answer what arrives during a search; whether to end it. deferred: gets lines to execute after it."""
        while (line := self._channel.lines.poll()) is not None:
            words, command = line.split(), _command(line)
            if command == "stop":
                if any(_command(one) in _WAITING for one in deferred):
                    deferred.append(line)  # for the search that waits as well
                return True
            if command == "ponderhit":
                budget.release()
            elif command in ("isready", "uci"):
                self._execute(words)
            elif command == "quit":
                deferred.append(line)
                return True
            elif command in _WAITING or command == "setoption":
                deferred.append(line)
                if budget.held and command in _WAITING:
                    return True
        return self._channel.lines.ended

    def _wait_for_release(self, limits: GoArguments) -> None:
        """Wait for `stop` where the client must not get a move before."""
        budget, deferred = Budget(held=limits.infinite or limits.ponder), list[str]()
        while budget.held and not self._interrupted(budget, deferred):
            self._channel.lines.wait(_INFO_S)
        self._channel.lines.put_back(deferred)

    def _inform(self, state: Any, tree: GrowingTree, lines: Sequence[Line], budget: Budget, draw: float) -> None:
        """Send an info line for each of the best moves."""
        spent = max(budget.elapsed_s, 1e-3)
        searched = (
            f"nodes {tree.simulations} nps {round(tree.simulations / spent)} hashfull {round(1000 * tree.fullness)} "
            f"time {round(1000 * spent)}"
        )
        depth = f"depth {max(round(tree.mean_depth), 1)} seldepth {max(tree.deepest, 1)}"
        for number, line in enumerate(lines, 1):
            wdl = f" {outcomes(line.value, draw)}" if self._show_wdl else ""
            names = " ".join(self._thinker.names(state, line.actions, self._game.name))
            self._send(f"info {depth} multipv {number} score {score(line)}{wdl} {searched} pv {names}")

    def _say(self, text: str) -> None:
        self._send(f"info string {one_line(text)}")

    def _send(self, *lines: str) -> None:
        self._channel.send("".join(f"{line}\n" for line in lines))


_KNOWN = ("stop", "ponderhit", "isready", "uci", "setoption", "debug", "register", "quit", *_WAITING)


def _command(line: str) -> str:
    """The first known command of a line, or nothing."""
    return next((word for word in line.split() if word in _KNOWN), "")
