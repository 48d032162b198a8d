"""Bots of OpenSpiel as players, where the package is installed: openspiel:mcts=N and openspiel:random.

Source: google-deepmind/open_spiel (Apache 2.0), open_spiel/algorithms/mcts.h and open_spiel/bots.
"""

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from agents.arena.line import Line
from agents.arena.players import Forfeit
from agents.games.breakthrough import Breakthrough
from agents.games.game import Game
from agents.games.go import Go
from agents.games.hex import Hex
from agents.games.line_game import LineGame
from lab import rng
from lab.errors import UserError

PREFIX = "openspiel:"
_UCT = 1.4142135623730951  # exploration constant, of results from -1 to 1
_MEMORY_MB = 1000
_MOST = 1_000_000


class SpielGame(NamedTuple):
    """A game as OpenSpiel has it. name: with parameters. text: the name of a move there, given its name here.

    sign: number of characters of the player's sign before a name there, as in x(0,2) and B a1.
    """

    name: str
    text: Callable[[str], str]
    sign: int = 0

    def plain(self, text: str) -> str:
        """A name there without the player's sign and the mark of a capture, as in a5b4*."""
        return text[self.sign :].lower().rstrip("*")

    def actions(self, state: Any) -> dict[str, int]:
        """The legal actions of a state by their names."""
        return {self.plain(state.action_to_string(action)): action for action in state.legal_actions()}


class SpielBot:
    """A bot that plays with a state of its own for each game (see `LinePlayer`)."""

    def __init__(self, game: Game, name: str, make: Callable[[Any, Any, int], Any], seed: int) -> None:
        """make: a bot, given the module, the game and a seed. Raises UserError without the package or the game."""
        self._module = _pyspiel()
        found = spiel_game(game)
        if found is None:
            raise UserError(f"OpenSpiel does not have {game.name} with the rules of the run, {dict(game.options)}")
        self._game, self._name, self._make, self._seed, self._there = game, name, make, seed, found
        self._spiel = self._module.load_game(found.name)
        self._playing: dict[int, tuple[Any, Any, int]] = {}  # by game id: bot, state, moves on it

    @property
    def name(self) -> str:
        return self._name

    def choose_moves(self, lines: Sequence[Line], game_ids: Sequence[int]) -> list[int | Forfeit]:
        return [self._choose(line, game_id) for line, game_id in zip(lines, game_ids, strict=True)]

    def finish(self, game_id: int) -> None:
        self._playing.pop(game_id, None)

    def _choose(self, line: Line, game_id: int) -> int | Forfeit:
        if game_id not in self._playing:
            bits = rng.random_bits(self._seed, int(rng.Stream.RANDOM_PLAYER), torch.tensor([game_id]))
            bot = self._make(self._module, self._spiel, int(bits[0]) % 2**31)
            self._playing[game_id] = (bot, self._spiel.new_initial_state(), 0)
        bot, state, played = self._playing[game_id]
        names = line.names
        for name in names[played:]:
            action = self._there.actions(state).get(self._there.text(name))
            if action is None:
                return Forfeit(f"OpenSpiel does not allow {name}, which is legal", fault=True)
            state.apply_action(action)
        self._playing[game_id] = (bot, state, len(names))
        if state.is_terminal():
            return Forfeit("OpenSpiel says that the game is over", fault=True)
        chosen = state.action_to_string(bot.step(state))
        for action in self._game.legal(line.state)[0].nonzero()[:, 0].tolist():
            if self._there.text(self._game.move_name(line.state, action)) == self._there.plain(chosen):
                return int(action)
        return Forfeit(f"it plays {chosen}, which is illegal", fault=True)


def spiel_game(game: Game) -> SpielGame | None:
    """OpenSpiel's game with the same rules; None where it has none."""
    if isinstance(game, LineGame):
        return _line_game(game)
    if isinstance(game, Hex):
        return None if game.swap else SpielGame(f"hex(board_size={game.size})", str.lower)
    if isinstance(game, Go):
        if game.ko != "positional":
            return None
        rules = f"go(board_size={game.size},komi={game.komi},max_game_length={game.max_plies})"
        return SpielGame(rules, str.lower, sign=len("B "))
    if isinstance(game, Breakthrough):
        return SpielGame(f"breakthrough(rows={game.rows},columns={game.columns})", lambda name: _turned(game, name))
    if game.name == "othello" and game.options == {"size": 8}:
        return SpielGame("othello", str.lower)
    return None


def _line_game(game: LineGame) -> SpielGame | None:
    if game.name == "tic_tac_toe":
        return SpielGame("tic_tac_toe", lambda name: f"({(int(name) - 1) // 3},{(int(name) - 1) % 3})", sign=1)
    if game.name == "connect_four":
        rules = f"connect_four(rows={game.rows},columns={game.columns},x_in_row={game.length})"
        return SpielGame(rules, lambda name: str(int(name) - 1), sign=1)
    return None


def _turned(game: Breakthrough, name: str) -> str:
    """There the player who begins is on top: the rows are counted the other way round."""
    return re.sub(r"\d+", lambda row: str(game.rows + 1 - int(row[0])), name.replace("x", ""))


def is_bot(word: str) -> bool:
    """Whether a word names a bot of OpenSpiel."""
    return word.startswith(PREFIX)


def parse_bot(word: str, game: Game, seed: int) -> SpielBot:
    """The bot that a word names. Raises UserError."""
    kind, _, count = word.removeprefix(PREFIX).partition("=")
    if kind == "random" and not count:
        return SpielBot(game, word, _random, seed)
    if kind == "mcts" and count.isascii() and count.isdecimal() and len(count) < 8 and 1 <= int(count) <= _MOST:
        return SpielBot(game, word, lambda module, spiel, number: _mcts(module, spiel, number, int(count)), seed)
    raise UserError(f"unknown bot {word!r}; use openspiel:mcts=N with N up to {_MOST:,}, or openspiel:random")


def _mcts(module: Any, spiel: Any, seed: int, simulations: int) -> Any:
    """UCT with a random game from each leaf, which solves what it sees to the end."""
    evaluator = module.RandomRolloutEvaluator(1, seed)
    return module.MCTSBot(spiel, evaluator, _UCT, simulations, _MEMORY_MB, True, seed, False)


def _random(module: Any, spiel: Any, seed: int) -> Any:
    return module.make_stateful_random_bot(spiel, 0, seed)


def _pyspiel() -> Any:
    try:
        return importlib.import_module("pyspiel")
    except ImportError:
        raise UserError("bots of OpenSpiel need the package open-spiel: pip install open-spiel") from None
