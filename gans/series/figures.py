"""Figures of series: real beside generated ones, and statistics of both sets."""

from collections.abc import Sequence

import numpy as np
import torch

from gans.series.distances import autocorrelation
from lab.plots.figures import Curve, Plot, plots


def plot_series(series: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Series [K, T, C] of channels named `columns`, two per row with one range of values -> uint8 [H, W, 3]."""
    bounds = _bounds([series])
    return plots([Plot(_lines(one, columns), f"series {i}", "step", y_range=bounds) for i, one in enumerate(series)])


def compare_series(real: np.ndarray, generated: np.ndarray, columns: Sequence[str], shown: int) -> np.ndarray:
    """Sets [N, T, C] and [M, T, C] -> uint8 [H, W, 3]: the first `shown` of each side by side with one range, below
    them autocorrelation and standard deviation of both sets, real solid and generated dashed."""
    bounds = _bounds([real[:shown], generated[:shown]])
    panels: list[Plot] = []
    for index, (one, other) in enumerate(zip(real[:shown], generated[:shown], strict=True)):
        panels += [
            Plot(_lines(one, columns), f"real {index}", "step", y_range=bounds),
            Plot(_lines(other, columns), f"generated {index}", "step", y_range=bounds),
        ]
    lags = real.shape[1] // 2
    of_real, of_generated = (autocorrelation(torch.from_numpy(series), lags).numpy() for series in (real, generated))
    panels += [
        _pair("autocorrelation (dashed: generated)", of_real, of_generated, "lag"),
        _pair("standard deviation (dashed: generated)", real.std(0), generated.std(0), "step"),
    ]
    return plots(panels)


def _pair(title: str, real: np.ndarray, generated: np.ndarray, x_label: str) -> Plot:
    """Statistics [T, C] of both sets; the range includes 0, so that small differences look small."""
    low, high = _bounds([real, generated])
    names = [""] * real.shape[1]
    lines = _lines(real, names) + _lines(generated, names, dashed=True)
    return Plot(lines, title, x_label, y_range=(min(0.0, low), high))


def _lines(values: np.ndarray, columns: Sequence[str], dashed: bool = False) -> list[Curve]:
    """Values [T, C], one colour per channel."""
    steps = range(len(values))
    return [
        Curve(name, steps, values[:, channel].tolist(), dashed=dashed, colour=channel)
        for channel, name in enumerate(columns)
    ]


def _bounds(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    """Range of the finite values: a constant channel has no autocorrelation."""
    values = np.concatenate([array[np.isfinite(array)] for array in arrays])
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
