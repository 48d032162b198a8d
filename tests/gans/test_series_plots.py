"""Plots of series: a curve is where its values are."""

import numpy as np
import pytest

from gans.series.plots import Curve, Panel, draw_panels, paired_panel, series_panels


def heights(values: np.ndarray, low: float, high: float, dashed: bool = False) -> dict[int, float]:
    """The mean row of what is coloured in every column of a panel with one curve."""
    pixels = draw_panels([[Panel("", [Curve(values, 0, dashed)], low, high)]]).astype(int)
    coloured = pixels[..., 2] - pixels[..., 0] > 60  # the first colour is blue
    return {column: float(np.nonzero(of)[0].mean()) for column, of in enumerate(coloured.T) if of.any()}


def test_a_rising_line_rises_over_the_whole_panel() -> None:
    found = heights(np.arange(10.0), 0.0, 9.0)
    columns, rows = list(found), list(found.values())
    assert len(columns) > 300 and max(columns) - min(columns) < len(columns) + 4
    assert np.corrcoef(columns, rows)[0, 1] == pytest.approx(-1.0, abs=1e-3)
    assert max(rows) - min(rows) > 90


def test_values_lie_between_the_panel_s_ends() -> None:
    low, middle, high = (np.mean(list(heights(np.full(5, v), 0.0, 2.0).values())) for v in (0.0, 1.0, 2.0))
    assert middle == pytest.approx((low + high) / 2, abs=1.0) and low - high > 90


def test_dashes_leave_gaps() -> None:
    whole, dashed = heights(np.ones(5), 0.0, 2.0), heights(np.ones(5), 0.0, 2.0, dashed=True)
    assert 0.3 * len(whole) < len(dashed) < 0.8 * len(whole)


def test_series_that_do_not_change_can_be_drawn() -> None:
    assert draw_panels(series_panels(np.zeros((2, 5, 1)))).dtype == np.uint8


def test_real_and_generated_lie_side_by_side_at_one_height() -> None:
    rows = series_panels(np.zeros((3, 5, 2)), np.full((3, 5, 2), 4.0))
    assert [panel.title for panel in rows[1]] == ["real 1", "generated 1"]
    assert {(panel.low, panel.high) for row in rows for panel in row} == {(0.0, 4.0)}
    both = paired_panel("both", np.full((5, 2), 2.0), np.full((5, 2), 3.0))
    assert [curve.dashed for curve in both.curves] == [False, False, True, True]
    assert (both.low, both.high) == (0.0, 3.0)
