"""Pictures of curves and matrices: what is drawn is where its values say."""

import numpy as np
import pytest

from lab.plot import Curve, curves, matrix

RED = np.array([214, 39, 40])  # of the second curve


def places_of(picture: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a colour inside the frame, where no name is written."""
    inside = picture[40:386, 74:702]
    rows, columns = np.nonzero((inside == colour).all(2))
    return rows, columns


def drawn(x: list[float], y: list[float], **settings: bool) -> np.ndarray:
    frame = Curve("", [1.0, 100.0], [1.0, 100.0], dots=True)
    return curves([frame, Curve("", x, y)], "title", "x", **settings)


def test_a_higher_value_is_drawn_higher_and_a_larger_one_further_right() -> None:
    rows, columns = places_of(drawn([20.0, 80.0], [20.0, 80.0]), RED)
    assert rows[columns.argmin()] > rows[columns.argmax()] + 100
    assert np.corrcoef(rows, columns)[0, 1] < -0.99


def test_on_logarithmic_axes_equal_factors_are_equally_far() -> None:
    picture = drawn([1.0, 10.0, 100.0], [1.0, 10.0, 100.0], log_x=True, log_y=True)
    rows, columns = places_of(picture, RED)
    middle = (columns.min() + columns.max()) / 2
    at_middle = rows[np.abs(columns - middle) <= 1].mean()
    assert at_middle == pytest.approx((rows.min() + rows.max()) / 2, abs=2)


def test_what_has_no_place_is_left_out() -> None:
    picture = drawn([10.0, 20.0, 30.0], [10.0, float("nan"), 0.0], log_y=True)
    rows, _ = places_of(picture, RED)
    assert 0 < len(rows) < 40  # one dot
    assert curves([Curve("none", [], [])], "nothing", "x").shape == picture.shape


def test_a_matrix_is_dark_where_its_row_has_its_share() -> None:
    counts = np.array([[8, 2], [0, 5]])
    picture = matrix(counts, ["one", "two"], ["one", "two"], "confusion", "taken for").astype(int)
    left, top, side = 16 + 8 * 3, 64, 34
    cells = {(r, c): picture[top + r * side + 2, left + c * side + 2].sum() for r in range(2) for c in range(2)}
    assert cells[1, 1] < cells[0, 0] < cells[0, 1] < cells[1, 0] == 3 * 255
