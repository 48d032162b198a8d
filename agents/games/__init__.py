"""Games as batched tensors, by name."""

from agents.games.board import Board, changed_cells
from agents.games.codec import decode, encode
from agents.games.game import ActionLayout, Game, ObservableGame, Symmetries, concatenate, select, where
from agents.games.registry import GAMES, game_names, make
from agents.games.testing import test_game

__all__ = [
    "GAMES",
    "ActionLayout",
    "Board",
    "Game",
    "ObservableGame",
    "Symmetries",
    "changed_cells",
    "concatenate",
    "decode",
    "encode",
    "game_names",
    "make",
    "select",
    "test_game",
    "where",
]
