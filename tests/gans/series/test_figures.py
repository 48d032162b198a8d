"""Figures of series: real and generated series side by side, statistics of both sets below them."""

import numpy as np

from gans.series.figures import compare_series, plot_series

WIDTH, HEIGHT = 400, 220  # of a plot
BLUE, RED = np.array([31, 119, 180]), np.array([214, 39, 40])  # of the first and of the second channel


def panel(image: np.ndarray, row: int, column: int) -> np.ndarray:
    """The inside of a plot, without its title and labels."""
    top, left = row * HEIGHT, column * WIDTH
    return image[top + 28 : top + HEIGHT - 50, left + 60 : left + WIDTH - 12]


def rows_of(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.nonzero((image == colour).all(2))[0]


def test_real_and_generated_lie_beside_each_other_at_one_height() -> None:
    real, generated = np.zeros((3, 8, 2)), np.full((3, 8, 2), 4.0)
    real[..., 0], generated[..., 0] = 1.0, 3.0
    image = compare_series(real, generated, ["", ""], shown=2)
    assert image.shape == (3 * HEIGHT, 2 * WIDTH, 3)
    heights = [
        float(rows_of(panel(image, 1, column), colour).mean())
        for column, colour in ((0, RED), (0, BLUE), (1, BLUE), (1, RED))
    ]
    # 0, 1, 3 and 4 from the bottom up.
    steps = -np.diff(heights)
    np.testing.assert_allclose(steps / steps.sum(), [0.25, 0.5, 0.25], atol=0.02)


def test_deviations_of_whole_sets_lie_below_generated_in_dashes() -> None:
    drawn = np.random.default_rng(0).standard_normal((200, 8, 1))
    image = compare_series(drawn, 3.0 * drawn, ["a"], shown=1)
    deviations = panel(image, 1, 1)
    rows = rows_of(deviations, BLUE)
    middle = (rows.min() + rows.max()) / 2
    upper, lower = (int(part.sum()) for part in (rows < middle, rows > middle))
    assert upper < 0.8 * lower  # the larger, generated, has gaps


def test_series_that_do_not_change_can_be_drawn() -> None:
    assert plot_series(np.zeros((3, 5, 1)), ["a"]).shape == (2 * HEIGHT, 2 * WIDTH, 3)
