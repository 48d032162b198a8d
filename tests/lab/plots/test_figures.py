"""Pictures of curves and matrices: what is drawn is where its values say."""

import numpy as np
import pytest

from lab.plots.figures import Curve, curves, matrix, mistakes

RED = np.array([214, 39, 40])  # of the second curve


def places_of(picture: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a colour inside the frame, where no name is written."""
    inside = picture[40:386, 74:702]
    rows, columns = np.nonzero((inside == colour).all(2))
    return rows, columns


def drawn(x: list[float], y: list[float], *, log_x: bool = False, log_y: bool = False) -> np.ndarray:
    frame = Curve("", [1.0, 100.0], [1.0, 100.0], dots=True)
    return curves([frame, Curve("", x, y)], "title", "x", log_x=log_x, log_y=log_y)


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


def test_dashes_leave_gaps_as_long_as_they_are() -> None:
    line, dashes = (
        curves([Curve("", [0.0, 1.0], [1.0, 1.0], dashed=dashed, colour=1)], "title", "x") for dashed in (False, True)
    )
    whole, cut = (len(set(places_of(picture, RED)[1].tolist())) for picture in (line, dashes))
    assert cut == pytest.approx(whole / 2, rel=0.3)


def test_a_picture_has_its_size_and_its_axis_the_ends_that_are_asked_for() -> None:
    picture = curves([Curve("", [0.0, 1.0], [0.0, 1.0], colour=1)], "title", "x", size=(300, 200), y_range=(0.0, 2.0))
    assert picture.shape == (200, 300, 3)
    rows, _ = np.nonzero((picture[:, 74:282] == RED).all(2))
    frame = np.nonzero((picture[:, 150] == np.array([40, 40, 40])).all(1))[0]
    # Half way up from the bottom, besides the little room at both ends.
    assert rows.min() == pytest.approx((frame.min() + frame.max()) / 2, abs=3)


def test_names_for_which_there_is_no_room_beside_the_title_are_left_out() -> None:
    many, few = (
        curves([Curve("a name", [0.0], [0.0], colour=1)] * count, "a title", "x", size=(300, 200)) for count in (40, 1)
    )
    title = np.s_[:30, 72:120]
    np.testing.assert_array_equal(many[title], few[title])


def test_mistakes_stand_over_their_names() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 1, 32, 32), dtype=np.uint8)
    sheet = mistakes(pictures, ["cat"] * 9, ["dog"] * 9)
    assert sheet.shape == (2 * (64 + 30) + 6, 8 * (64 + 6) + 6, 3)
    for index, (top, left) in enumerate([(6 + 94 * (i // 8), 6 + 70 * (i % 8)) for i in range(9)]):
        assert (sheet[top : top + 64 : 2, left : left + 64 : 2] == pictures[index, 0][:, :, None]).all()
        below = sheet[top + 64 : top + 88, left : left + 64].astype(int)
        assert (below.sum(2) < 200).any() and (below[:, :, 0] - below[:, :, 1] > 100).any()  # ink, and red


def test_large_pictures_stay_as_they_are() -> None:
    sheet = mistakes(np.zeros((2, 3, 70, 70), dtype=np.uint8), ["a", "b"], ["c" * 40, "d"])
    assert sheet.shape == (70 + 30 + 6, 2 * 76 + 6, 3)
