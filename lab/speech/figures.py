"""Log-mel spectrograms as pictures."""

import numpy as np
import torch
from torch import Tensor

from lab.plots.images import enlarged, grid

_RANGE = (-9.0, 1.0)  # log magnitudes from black to white
_ENLARGED = 3


def spectrogram_picture(spectrograms: list[Tensor]) -> np.ndarray:
    """Log-mel [F, bands] each -> uint8 [H, W, 1], one below the other; time to the right, low bands below."""
    longest = max(len(one) for one in spectrograms)
    low, high = _RANGE
    rows = []
    for one in spectrograms:
        levels = ((one.T.flip(0) - low) / (high - low) * 255.0).round().clamp(0, 255).to(torch.uint8)
        rows.append(torch.nn.functional.pad(levels, (0, longest - levels.shape[1])))
    return grid(enlarged(torch.stack(rows)[:, None], _ENLARGED), columns=1, gap=6)
