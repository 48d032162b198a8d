"""The game shown during training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from agents.alphazero import sample_game
from agents.alphazero.agent import make_agent, make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.sample_game import SampleGame, heat_map, play_sample_game
from agents.games import make
from lab.plots.figures import Matrix, matrices
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
    assert shown.text.rstrip().splitlines()[-1] == {1: "X wins", -1: "O wins", 0: "a draw"}[int(shown.first_reward)]
    text, picture, image = shown.media()
    assert isinstance(text, Text) and isinstance(picture, Image) and isinstance(image, Image)
    last = [*shown.played().states()][-2:]
    np.testing.assert_array_equal(picture.pixels, shown.game.image(last[1], 0, last[0]))
    assert shown.played().values == shown.values and len(shown.values) == plies
    assert image.pixels.shape[2] == 3 and image.pixels.shape[1] > 400
    assert shown.players == [ply % 2 for ply in range(plies)] and len(set(shown.actions)) == plies


def game_of(name: str, policies: np.ndarray, **options: Any) -> SampleGame:
    plies = len(policies)
    game, moves = make(name, **options), list(range(plies))
    names = [game.action_names[move % game.num_actions] for move in moves]
    return SampleGame(game, "", policies, moves, [ply % 2 for ply in moves], names, 0.0)


def drawn(played: SampleGame, monkeypatch: pytest.MonkeyPatch) -> list[Matrix]:
    """The matrices that a heat map draws."""
    found: list[Matrix] = []

    def record(given: Sequence[Matrix]) -> np.ndarray:
        found.extend(given)
        return matrices(given)

    monkeypatch.setattr(sample_game, "matrices", record)
    pixels = heat_map(played)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and max(pixels.shape) < 2500
    return found


def test_a_cell_game_has_a_board_per_ply_with_coordinates(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = np.zeros((3, 9), dtype=np.float32)
    policies[[0, 1, 2], [4, 0, 5]] = 1.0  # centre, top left, middle right
    boards = drawn(game_of("tic_tac_toe", policies), monkeypatch)
    assert [board.title for board in boards] == ["1: X 1", "2: O 2", "3: X 3"]
    for board, cell in zip(boards, ((1, 1), (0, 0), (1, 2)), strict=True):
        assert board.values.shape == (3, 3) and board.values[cell] == 1.0
        assert board.numbers is not None and board.numbers[cell] == 100 == board.numbers.sum()
        assert (list(board.rows), list(board.columns)) == (["1", "2", "3"], ["1", "2", "3"])
        assert (board.row_label, board.column_label) == ("row", "column")


def test_a_long_game_on_a_large_board_shows_some_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = np.full((225, 225), 1 / 225, dtype=np.float32)
    boards = drawn(game_of("tic_tac_toe", policies, rows=15, columns=15, length=5), monkeypatch)
    assert 4 <= len(boards) <= 10 and boards[0].title == "1: X 1" and boards[-1].title == "225: X 225"


def test_a_column_game_has_a_row_per_ply_and_a_column_per_action(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = np.eye(7, dtype=np.float32)[[3, 3, 2]]
    (matrix,) = drawn(game_of("connect_four", policies), monkeypatch)
    assert list(matrix.rows) == ["1: X 1", "2: O 2", "3: X 3"] and list(matrix.columns) == list("1234567")
    assert matrix.column_label == "column" and "ply" in matrix.row_label and "policy" in matrix.title
    np.testing.assert_array_equal(matrix.values, policies)


def test_a_long_game_of_many_actions_shows_some_plies_and_the_likely_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = np.full((500, 64), 1e-3, dtype=np.float32)
    played = game_of("connect_four", policies, rows=64, columns=64)._replace(actions=[0] * 500)
    (matrix,) = drawn(played, monkeypatch)
    assert len(matrix.rows) == 64 and matrix.rows[0].startswith("1:") and matrix.rows[-1].startswith("500:")
    monkeypatch.setattr(sample_game, "_LARGEST", 2)
    policies[3, 40] = policies[4, 7] = 0.5
    (matrix,) = drawn(played, monkeypatch)
    assert list(matrix.columns) == ["8", "41"] and matrix.values.shape == (2, 2)
