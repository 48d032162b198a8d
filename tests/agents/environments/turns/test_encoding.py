"""Observations of every kind of space as planes of bits and of one number."""

from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from agents.environments.turns.encoding import PlaneEncoder
from lab.errors import UserError

RANDOM = np.random.default_rng(0)


def bits(encoder: PlaneEncoder, observation: Any) -> Any:
    channels, height, width = encoder.shape
    count = (channels - encoder.number_planes) * height * width
    found = np.unpackbits(encoder(observation).bits, count=count)
    return found.reshape(-1, height, width)


def test_channels_that_are_last_come_first() -> None:
    boards = RANDOM.integers(0, 2, (4, 6, 7, 2)).astype(np.int8)
    encoder = PlaneEncoder(spaces.Box(0, 1, (6, 7, 2), np.int8), boards)
    assert (encoder.shape, encoder.number_planes) == ((2, 6, 7), 0)
    np.testing.assert_array_equal(bits(encoder, boards[0]), boards[0].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("shape", "planes"), [((8, 8, 111), (111, 8, 8)), ((3, 3, 13), (13, 3, 3)), ((9, 3, 3), (9, 3, 3))]
)
def test_a_square_board_with_more_planes_than_rows_is_known(shape: tuple[int, ...], planes: tuple[int, ...]) -> None:
    board = RANDOM.integers(0, 2, shape).astype(np.int8)
    encoder = PlaneEncoder(spaces.Box(0, 1, shape, np.int8), [board])
    assert encoder.shape == planes
    np.testing.assert_array_equal(bits(encoder, board), board if shape == planes else board.transpose(2, 0, 1))


def test_whole_numbers_become_a_plane_for_each_value() -> None:
    board = np.array([[0, 1, 2], [2, 0, 0]], np.int8)
    encoder = PlaneEncoder(spaces.Box(-1, 2, (2, 3), np.int8), [board])
    assert (encoder.shape, encoder.number_planes) == ((4, 2, 3), 0)
    np.testing.assert_array_equal(bits(encoder, board), [board == value for value in (-1, 0, 1, 2)])


def test_bits_without_bounds_and_a_clock_are_known_by_what_random_games_show() -> None:
    space = spaces.Box(-np.inf, np.inf, (3, 4, 5), np.float64)
    boards = RANDOM.integers(0, 2, (5, 3, 4, 5)).astype(np.float64)
    boards[:, 1] = np.arange(5)[:, None, None] / 4
    encoder = PlaneEncoder(space, boards)
    assert (encoder.shape, encoder.number_planes) == ((3, 4, 5), 1)
    np.testing.assert_array_equal(bits(encoder, boards[2]), boards[2][[0, 2]])
    assert encoder(boards[3]).numbers.tolist() == [0.75]
    with pytest.raises(UserError, match=r"holds 0\.5 where those of random games hold 0 and 1"):
        encoder(np.full((3, 4, 5), 0.5))


def test_a_vector_is_a_board_of_one_cell_with_a_plane_for_each_number() -> None:
    space = spaces.Dict({"cards": spaces.MultiDiscrete([3, 2]), "stack": spaces.Box(0, 100, (2,), np.float32)})
    samples = [{"cards": np.array([2, 1]), "stack": np.array([50.0, 0.5], np.float32)}]
    encoder = PlaneEncoder(space, samples)
    assert (encoder.shape, encoder.number_planes) == ((7, 1, 1), 2)
    encoder = ForkingPickler.loads(bytes(ForkingPickler.dumps(encoder)))  # as a process receives it
    code = encoder(samples[0])
    assert bits(encoder, samples[0]).ravel().tolist() == [0, 0, 1, 0, 1]
    assert code.numbers.tolist() == [50.0, 0.5]


def test_a_board_of_other_numbers_has_a_plane_for_each_number_scaled_by_its_bounds() -> None:
    boards = RANDOM.uniform(0, 200, (3, 2, 3)).astype(np.float32)
    encoder = PlaneEncoder(spaces.Box(0, 200, (2, 3), np.float32), boards)
    assert (encoder.shape, encoder.number_planes) == ((6, 1, 1), 6)
    np.testing.assert_allclose(encoder(boards[0]).numbers, boards[0].ravel() / 200, rtol=1e-6)


def test_an_observation_outside_its_space_is_refused() -> None:
    encoder = PlaneEncoder(spaces.Box(0, 1, (6, 7, 2), np.int8), np.zeros((1, 6, 7, 2), np.int8))
    with pytest.raises(UserError, match=r"has shape \[6, 7\], and its space says \[6, 7, 2\]"):
        encoder(np.zeros((6, 7), np.int8))
    with pytest.raises(UserError, match="holds 3 where"):
        encoder(np.full((6, 7, 2), 3, np.int8))
