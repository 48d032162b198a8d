"""Games as batched tensors, by name."""

from agents.games.game import Game, Symmetries, concatenate, select, where
from agents.games.registry import GAMES, game_names, make
from agents.games.testing import test_game

__all__ = ["GAMES", "Game", "Symmetries", "concatenate", "game_names", "make", "select", "test_game", "where"]
