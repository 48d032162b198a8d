"""The game shown during training."""

import numpy as np
import torch

from agents.alphazero.agent import make_agent, make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.sample_game import heat_map, play_sample_game
from lab.plots.media import Image, Text
from lab.train.device import resolve

CONFIG = AlphaZeroConfig.model_validate(
    {"budget": 1, "game": {"name": "tic_tac_toe"}, "network": {"channels": 8, "blocks": 1}}
)


def test_a_shown_game_is_played_to_its_end() -> None:
    torch.manual_seed(0)
    agent = make_agent("run", CONFIG, make_network(CONFIG, CONFIG.game.make()), resolve("cpu"))
    shown = play_sample_game(agent, simulations=8)
    plies = len(shown.policies)
    assert 5 <= plies <= 9
    np.testing.assert_allclose(shown.policies.sum(1), 1.0, atol=1e-5)
    board = shown.text.rstrip().splitlines()[-4:-1]
    assert sum(row.count("X") + row.count("O") for row in board) == plies
    assert shown.text.rstrip().splitlines()[-1] in {"X wins", "O wins", "a draw"}
    text, image = shown.media()
    assert isinstance(text, Text) and isinstance(image, Image)
    assert image.pixels.shape == (plies * 16, 9 * 16, 1)


def test_heat_map_is_black_at_zero_and_white_at_one() -> None:
    pixels = heat_map(np.array([[0.0, 1.0, 0.25]], dtype=np.float32))
    assert [int(pixels[8, 16 * column + 8, 0]) for column in range(3)] == [0, 255, 127]
