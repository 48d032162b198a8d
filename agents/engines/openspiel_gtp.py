"""Bots of OpenSpiel as an engine of GTP: `python -m agents.engines.openspiel_gtp GAME BOT`.

A process of its own: its MCTS bot is C++ that ends the process where it fails, and then only a game is lost.
Source: google-deepmind/open_spiel (Apache 2.0), open_spiel/algorithms/mcts.h and open_spiel/bots.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

_UCT = 1.4142135623730951  # exploration constant, of results from -1 to 1
_MEMORY_MB = 500
_COLOURS = {"b": 0, "black": 0, "w": 1, "white": 1}


class SpielEngine:
    """The commands of GTP that `GtpClient` uses. Moves have the names of this package's games."""

    def __init__(self, name: str, bot: str) -> None:
        self._module: Any = importlib.import_module("pyspiel")
        self._spiel = self._module.load_game(name)
        self._kind, self._bot_name, self._seed = name.partition("(")[0], bot, 0
        self._state: Any = self._spiel.new_initial_state()
        self._bots: dict[int, tuple[Any, ...]] = {}  # by the player whose moves they choose
        self._commands: dict[str, Callable[..., str]] = {
            "protocol_version": lambda: "2",
            "name": lambda: f"OpenSpiel {bot}",
            "version": lambda: str(getattr(self._module, "__version__", "")),
            "list_commands": lambda: "\n".join([*self._commands, "quit"]),
            "boardsize": lambda *_: "",  # in the game's name
            "rectangular_boardsize": lambda *_: "",
            "komi": lambda *_: "",
            "clear_board": self._clear,
            "set_random_seed": self._set_seed,
            "play": self._play,
            "genmove": self._genmove,
        }

    def answer(self, line: str) -> str | None:
        """The answer to a command; None for an empty line."""
        words = line.split()
        number = words.pop(0) if words and words[0].isdecimal() else ""
        if not words:
            return None
        command = self._commands.get(words[0])
        try:
            if command is None:
                raise ValueError("unknown command")
            return f"={number} {command(*words[1:])}\n"
        except (TypeError, ValueError) as error:
            return f"?{number} {error}\n"

    def _clear(self) -> str:
        self._state, self._bots = self._spiel.new_initial_state(), {}
        return ""

    def _set_seed(self, seed: str) -> str:
        self._seed, self._bots = int(seed), {}
        return ""

    def _play(self, colour: str, move: str) -> str:
        self._check_turn(colour)
        actions = {self._name_of(action): action for action in self._state.legal_actions()}
        if move.lower() not in actions:
            raise ValueError("illegal move")
        self._state.apply_action(actions[move.lower()])
        return ""

    def _genmove(self, colour: str) -> str:
        self._check_turn(colour)
        player = self._state.current_player()
        if player not in self._bots:
            self._bots[player] = self._make_bot(player)
        action = self._bots[player][0].step(self._state)
        name = self._name_of(action)
        self._state.apply_action(action)
        return name

    def _check_turn(self, colour: str) -> None:
        if self._state.is_terminal():
            raise ValueError("the game is over")
        if _COLOURS.get(colour.lower()) != self._state.current_player():
            raise ValueError(f"it is not the turn of {colour}")

    def _make_bot(self, player: int) -> tuple[Any, ...]:
        """The bot, and what must live as long as it."""
        if self._bot_name == "random":
            return (self._module.make_uniform_random_bot(player, self._seed),)
        simulations = int(self._bot_name.removeprefix("mcts="))
        evaluator = self._module.RandomRolloutEvaluator(1, self._seed)
        # It solves what it sees to the end. It does not keep its evaluator alive.
        return (
            self._module.MCTSBot(self._spiel, evaluator, _UCT, simulations, _MEMORY_MB, True, self._seed, False),
            evaluator,
        )

    def _name_of(self, action: int) -> str:
        """The name of a legal action as the games of this package have it."""
        text = str(self._state.action_to_string(action))
        if self._kind == "connect_four":  # x3: the player's sign, and the column from 0
            return str(int(text[1:]) + 1)
        if self._kind == "tic_tac_toe":  # x(0,2)
            row, column = map(int, text[2:-1].split(","))
            return str(3 * row + column + 1)
        return text[len("B ") * (self._kind == "go") :].lower()


def main(name: str, bot: str) -> None:
    """Answer the commands on standard input to its end or `quit`."""
    engine = SpielEngine(name, bot)
    for line in sys.stdin:
        words: Sequence[str] = line.split()
        if "quit" in words[:2]:
            sys.stdout.write("= \n\n")
            return
        answer = engine.answer(line)
        if answer is not None:
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
