"""Bots of OpenSpiel as players: which games it has by the same rules, and the command of a bot's process."""

import re
import sys
from importlib.util import find_spec

from agents.games.game import Game
from agents.games.go import Go
from agents.games.hex import Hex
from agents.games.line_game import LineGame
from lab.errors import UserError

_BOT = re.compile(r"random|mcts=([1-9]\d{0,6})")


def openspiel_command(game: Game, bot: str) -> list[str]:
    """The command of a bot for a game. bot: `random`, or `mcts=N` with N simulations per move.

    Raises UserError without the package, for another bot, and for a game that OpenSpiel does not have.
    """
    if _BOT.fullmatch(bot) is None:
        raise UserError(f"openspiel:{bot}: use openspiel:mcts=N with N up to 9,999,999, or openspiel:random")
    name = spiel_name(game)
    if name is None:
        options = ", ".join(f"{key}={value}" for key, value in game.options.items())
        raise UserError(f"OpenSpiel does not have {game.name} with the rules of the run ({options})")
    if find_spec("pyspiel") is None:
        raise UserError("bots of OpenSpiel need its package: pip install 'rivals-lab[openspiel]'")
    return [sys.executable, "-m", "agents.engines.openspiel_gtp", name, bot]


def spiel_name(game: Game) -> str | None:
    """OpenSpiel's name, with parameters, of the game with the same rules; None where it has none."""
    if isinstance(game, LineGame) and game.name == "connect_four":
        return f"connect_four(rows={game.rows},columns={game.columns},x_in_row={game.length})"
    if isinstance(game, Hex):
        return None if game.swap else f"hex(board_size={game.size})"
    if isinstance(game, Go):
        if game.ko != "positional":
            return None
        return f"go(board_size={game.size},komi={game.komi},max_game_length={game.max_plies})"
    if game.name == "othello" and game.options == {"size": 8}:
        return "othello"
    return "tic_tac_toe" if game.name == "tic_tac_toe" else None
