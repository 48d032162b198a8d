"""Figures of curves and matrices: what is drawn is where its values say."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lab.plots.figures import Curve, Matrix, Plot, labelled_images, matrices, plot, plots

ROOT = Path(__file__).parents[3]
RED, BLUE = np.array([214, 39, 40]), np.array([31, 119, 180])  # of the second curve and of the first


def places_of(pixels: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a colour."""
    rows, columns = np.nonzero((pixels == colour).all(2))
    return rows, columns


def drawn(x: list[float], y: list[float], *, log_x: bool = False, log_y: bool = False) -> np.ndarray:
    frame = Curve("", [1.0, 100.0], [1.0, 100.0], dots=True)
    return plot(Plot([frame, Curve("", x, y)], "title", "x", "y", log_x=log_x, log_y=log_y))


def ink_at_the_edges(pixels: np.ndarray) -> bool:
    edges = (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:])
    return any((edge < 255).any() for edge in edges)


def test_a_higher_value_is_drawn_higher_and_a_larger_one_further_right() -> None:
    rows, columns = places_of(drawn([20.0, 80.0], [20.0, 80.0]), RED)
    assert rows[columns.argmin()] > rows[columns.argmax()] + 100
    assert np.corrcoef(rows, columns)[0, 1] < -0.99


def test_on_logarithmic_axes_equal_factors_are_equally_far() -> None:
    rows, columns = places_of(drawn([1.0, 10.0, 100.0], [1.0, 10.0, 100.0], log_x=True, log_y=True), RED)
    middle = (columns.min() + columns.max()) / 2
    at_middle = rows[np.abs(columns - middle) <= 2].mean()
    assert at_middle == pytest.approx((rows.min() + rows.max()) / 2, abs=3)


def test_values_without_a_place_on_the_axes_are_left_out() -> None:
    pixels = drawn([10.0, 20.0, 30.0], [10.0, float("nan"), 0.0], log_y=True)
    rows, _ = places_of(pixels, RED)
    assert 0 < len(rows) < 40  # one dot
    assert plot(Plot([Curve("none", [], [])], "nothing", "x")).shape == pixels.shape == (440, 720, 3)


def test_a_dashed_line_has_gaps() -> None:
    line, dashes = (
        plot(Plot([Curve("", [0.0, 1.0], [1.0, 1.0], dashed=dashed, colour=1)], "", "x")) for dashed in (False, True)
    )
    whole, cut = (len(set(places_of(pixels, RED)[1].tolist())) for pixels in (line, dashes))
    assert 0.3 * whole < cut < 0.9 * whole


def test_the_y_axis_has_the_ends_that_are_asked_for() -> None:
    sizes = []
    for top in (1.0, 2.0):
        one = Plot([Curve("", [0.0, 1.0], [0.0, 1.0], colour=1)], "", "x", y_range=(0.0, top))
        pixels = plot(one, size=(300, 200))
        assert pixels.shape == (200, 300, 3)
        rows, _ = places_of(pixels, RED)
        sizes.append(rows.max() - rows.min())
    assert sizes[1] == pytest.approx(sizes[0] / 2, abs=4)


def test_plots_stand_in_rows_of_columns() -> None:
    one = Plot([Curve("", [0.0, 1.0], [0.0, 1.0])], "", "x")
    pixels = plots([one] * 3, columns=2, size=(300, 200))
    assert pixels.shape == (400, 600, 3)
    assert len(places_of(pixels[200:, 300:], BLUE)[0]) == 0 < len(places_of(pixels[200:, :300], BLUE)[0])


@pytest.mark.parametrize("names", [["$x$", "_hidden"], [f"a rather long name {i}" for i in range(8)]])
def test_titles_and_names_are_text_and_stay_inside_the_figure(names: list[str]) -> None:
    curves = [Curve(name, [0.0, 1.0], [0.0, 1.0 + i]) for i, name in enumerate(names)]
    pixels = plot(Plot(curves, "a title $of$ some length, longer than its axes are wide", "x", marks={"here": 0.5}))
    assert not ink_at_the_edges(pixels)


def test_a_matrix_is_dark_where_its_values_are_high() -> None:
    values = np.array([[0.8, 0.2], [0.0, 1.0]])
    pixels = matrices([Matrix(values, ["one", "two"], ["one", "two"], "confusion")]).astype(int)
    places = np.argwhere(np.abs(pixels - np.array([8, 48, 107])).sum(2) < 12)  # the darkest blue, of 1.0
    top, left = places.min(0)
    side = (places.max(0) - places.min(0) + 1).min()
    cells = {(r, c): pixels[top + 3 - side * (1 - r), left + 3 - side * (1 - c)].sum() for r in (0, 1) for c in (0, 1)}
    assert cells[1, 1] < cells[0, 0] < cells[0, 1] < cells[1, 0]


@pytest.mark.parametrize("count", [2, 30])
def test_names_of_a_matrix_stay_inside_the_figure(count: int) -> None:
    names = [f"some class {i}" for i in range(count)]
    numbers = np.eye(count, dtype=int) * 1234
    assert not ink_at_the_edges(matrices([Matrix(np.eye(count), names, names, "title", "label", "predicted", numbers)]))


def test_images_stand_over_their_names() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 32, 32), dtype=np.uint8)
    sheet = labelled_images(images, ["cat"] * 9, ["dog"] * 9)
    side, pitch = 96, 104
    high = (sheet.shape[0] - 8) // 2
    assert sheet.shape[1] == 8 * pitch + 8
    for index, (top, left) in enumerate([(8 + high * (i // 8), 8 + pitch * (i % 8)) for i in range(9)]):
        assert (sheet[top : top + side : 3, left : left + side : 3] == images[index, 0][:, :, None]).all()
        below = sheet[top + side : top + high - 4, left : left + side].astype(int)
        assert (below.sum(2) < 200).any() and (below[:, :, 0] - below[:, :, 1] > 100).any()  # black, and red


def test_large_images_keep_their_pixels_and_long_names_stay_inside() -> None:
    sheet = labelled_images(np.zeros((2, 3, 120, 120), dtype=np.uint8), ["a", "b"], ["c" * 40, "d" * 40])
    assert sheet.shape[1] == 2 * 128 + 8
    assert (sheet[8:128, 8:128] == 0).all() and not ink_at_the_edges(sheet)


def test_a_home_that_cannot_be_written_costs_no_line(tmp_path: Path) -> None:
    code = "from lab.plots.figures import Curve, Plot, plot; plot(Plot([Curve('a', [1], [2])], 't', 'x'))"
    environment = {**os.environ, "HOME": str(tmp_path / "file" / "home"), "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in environment.items() if not name.startswith(("MPL", "XDG"))}
    (tmp_path / "file").write_text("")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
