"""Resampling of waves."""

import math

import numpy as np
import torch
from torch import Tensor


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """Wave float32 [..., T] at `rate` Hz -> [..., ceil(T * target / rate)] at `target` Hz, without aliases.

    Polyphase filtering (scipy.signal.resample_poly). The result is on the CPU.
    """
    if rate == target:
        return wave
    from scipy.signal import resample_poly  # slow to import

    common = math.gcd(rate, target)
    found = resample_poly(wave.cpu().numpy(), target // common, rate // common, axis=-1)
    return torch.from_numpy(np.ascontiguousarray(found, np.float32))
