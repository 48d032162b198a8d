"""Distances between two sets of series without a network: autocorrelation, correlation of channels, marginals."""

import torch
from torch import Tensor


def autocorrelation(series: Tensor, lags: int) -> Tensor:
    """[N, T, C] -> [lags + 1, C]: autocorrelation of each channel at lags 0 to `lags`, over all series together.

    Mean and variance are those of the channel in the whole set; at each lag the mean is over the existing pairs.
    """
    centred = series.double() - series.double().mean((0, 1))
    variance = centred.square().mean((0, 1))
    steps = series.shape[1]
    products = [(centred[:, : steps - lag] * centred[:, lag:]).mean((0, 1)) for lag in range(lags + 1)]
    return torch.stack(products) / variance


def autocorrelation_distance(one: Tensor, other: Tensor, lags: int) -> float:
    """Mean absolute difference of the autocorrelations of [N, T, C] and [M, T, C] at lags 1 to `lags`."""
    difference = autocorrelation(one, lags)[1:] - autocorrelation(other, lags)[1:]
    return float(difference.abs().mean())


def correlation(series: Tensor) -> Tensor:
    """[N, T, C] -> [C, C]: correlation of channels at the same step, over all steps of all series."""
    return torch.corrcoef(series.double().flatten(0, 1).T).reshape(series.shape[2], series.shape[2])


def correlation_distance(one: Tensor, other: Tensor) -> float:
    """Mean absolute difference of the correlations of pairs of channels; 0 for one channel."""
    channels = one.shape[2]
    if channels == 1:
        return 0.0
    difference = (correlation(one) - correlation(other)).abs()
    return float(difference.sum() / (channels * (channels - 1)))  # the diagonal is 0


def marginal_distance(one: Tensor, other: Tensor) -> float:
    """Wasserstein-1 distance of the values at a step in a channel, mean over steps and channels.

    [N, T, C] each, of equal N; then it is the mean distance of the sorted values. Raises ValueError otherwise.
    """
    if one.shape != other.shape:
        raise ValueError(f"marginal_distance compares equal numbers of series, not {len(one)} and {len(other)}")
    return float((one.double().sort(0).values - other.double().sort(0).values).abs().mean())
