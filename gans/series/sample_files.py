"""Files of sampled series: CSV with a row per step, or a NumPy array, each written atomically."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lab.files.durable import replacing

SUFFIXES = (".csv", ".npy")


def save_csv(path: Path, batches: Iterable[np.ndarray], columns: Sequence[str], labels: Sequence[str] | None) -> int:
    """Batches [B, T, C] under the columns series, step, label (with `labels` [N]) and the channels; returns N."""
    count = 0
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_names(columns, labels is not None), *columns])
        for batch in batches:
            for series in batch:
                key = () if labels is None else (labels[count],)
                for step, row in enumerate(series.tolist()):
                    # 15 digits: with 9, small values on a large offset would be lost.
                    writer.writerow([count, step, *key, *(f"{value:.15g}" for value in row)])
                count += 1
    return count


def save_array(path: Path, batches: Iterable[np.ndarray]) -> int:
    """Batches [B, T, C] as one float64 array [N, T, C]; returns N."""
    series = np.concatenate(list(batches))
    with replacing(path) as temporary:
        np.save(temporary, series, allow_pickle=False)
    return len(series)


def _names(columns: Sequence[str], labelled: bool) -> list[str]:
    """Names of the columns before the channels, different from those of the channels."""
    names = ["series", "step", "label"] if labelled else ["series", "step"]
    return [f"{name}_" if name in columns else name for name in names]
