"""Made card transactions with a few frauds, whose probability of fraud given the columns is known exactly.

A transaction belongs to one of six profiles, three of them fraudulent. Given its profile the columns are independent,
with densities in closed form; by Bayes' rule the probability of fraud is a ratio of sums of products of these. No
detector can rank better than by it, so the best average precision is known.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lab import rng
from lab.data.columns import Column

COUNT = 60_000
_SEED = 0x7A5
_DAY = 24.0
_MOST = 40  # transactions in an hour; more have a probability below 1e-12 in every profile
CHANNELS = ("chip", "contactless", "online", "cash machine")
SCHEMA = (
    Column("amount", "number"),
    Column("hour", "number"),
    Column("distance_km", "number"),
    Column("transactions_last_hour", "number"),
    Column("account_age_days", "number"),
    Column("channel", "category", CHANNELS),
    Column("new_device", "boolean"),
)
NAMES = ("legitimate", "fraud")


@dataclass(frozen=True)
class Profile:
    """A kind of transaction, with its share of all and the distribution of each column.

    amount, distance, age: median and standard deviation of the logarithm (log-normal). hour: mean and standard
    deviation (normal, wrapped to a day). rate: mean of the number in the last hour (Poisson, cut off). channels:
    probabilities.
    """

    fraud: bool
    share: float
    amount: tuple[float, float]
    hour: tuple[float, float]
    distance: tuple[float, float]
    rate: float
    age: tuple[float, float]
    channels: tuple[float, float, float, float]
    new_device: float


PROFILES = (
    Profile(False, 0.70, (22.0, 0.9), (14.0, 4.0), (4.0, 1.0), 0.3, (900.0, 0.8), (0.35, 0.45, 0.15, 0.05), 0.02),
    Profile(False, 0.22, (35.0, 1.0), (20.0, 3.5), (30.0, 1.6), 0.6, (700.0, 0.9), (0.02, 0.02, 0.95, 0.01), 0.10),
    Profile(False, 0.07, (90.0, 1.0), (13.0, 6.0), (900.0, 1.0), 0.8, (800.0, 0.8), (0.45, 0.25, 0.15, 0.15), 0.25),
    # Cards are tested by many small payments at night, accounts are taken over, and stolen cards are emptied.
    Profile(True, 0.004, (3.0, 0.6), (3.0, 3.0), (600.0, 1.5), 3.0, (600.0, 0.9), (0.01, 0.03, 0.95, 0.01), 0.60),
    Profile(True, 0.004, (240.0, 0.8), (1.0, 5.0), (400.0, 1.5), 1.0, (500.0, 1.0), (0.03, 0.02, 0.93, 0.02), 0.75),
    Profile(True, 0.002, (160.0, 0.6), (19.0, 4.0), (25.0, 1.2), 1.8, (800.0, 0.8), (0.15, 0.20, 0.05, 0.60), 0.02),
)


class Transactions(NamedTuple):
    """Rows float64 [N, 7] in the order of `SCHEMA`, and whether each is a fraud, int64 [N]."""

    data: np.ndarray
    target: np.ndarray
    schema: tuple[Column, ...] = SCHEMA
    target_names: tuple[str, ...] = NAMES


def load_transactions(count: int = COUNT, seed: int = _SEED) -> Transactions:
    """Transactions 0 to `count`, each a function of the seed and its number."""
    numbers = torch.arange(count)

    def uniform(what: int) -> np.ndarray:
        return rng.uniform(seed, int(rng.Stream.SAMPLE), numbers, what).double().numpy()

    def normal(what: int) -> np.ndarray:
        return rng.normal(seed, int(rng.Stream.SAMPLE), numbers, what).double().numpy()

    shares = np.array([profile.share for profile in PROFILES])
    which = np.searchsorted(np.cumsum(shares)[:-1], uniform(0))
    amount, hour, distance, age = (
        np.array([getattr(profile, name) for profile in PROFILES])[which]
        for name in ("amount", "hour", "distance", "age")
    )
    rates = np.stack([np.cumsum(_poisson(profile.rate)) for profile in PROFILES])[which]
    channels = np.cumsum(np.array([profile.channels for profile in PROFILES]), 1)[which]
    devices = np.array([profile.new_device for profile in PROFILES])[which]
    columns = [
        amount[:, 0] * np.exp(amount[:, 1] * normal(1)),
        (hour[:, 0] + hour[:, 1] * normal(2)) % _DAY,
        distance[:, 0] * np.exp(distance[:, 1] * normal(3)),
        (uniform(4)[:, None] > rates[:, :-1]).sum(1).astype(np.float64),
        age[:, 0] * np.exp(age[:, 1] * normal(5)),
        (uniform(6)[:, None] > channels[:, :-1]).sum(1).astype(np.float64),
        (uniform(7) < devices).astype(np.float64),
    ]
    frauds = np.array([profile.fraud for profile in PROFILES], np.int64)
    return Transactions(np.stack(columns, 1), frauds[which])


def fraud_probability(rows: np.ndarray) -> np.ndarray:
    """The exact probability of fraud, float64 [N], of rows float64 [N, 7] in the order of `SCHEMA`."""
    joint = np.stack([np.log(profile.share) + _log_density(profile, rows) for profile in PROFILES])
    joint = np.exp(joint - joint.max(0))
    fraud = np.array([profile.fraud for profile in PROFILES])
    probability: np.ndarray = joint[fraud].sum(0) / joint.sum(0)
    return probability


def _log_density(profile: Profile, rows: np.ndarray) -> np.ndarray:
    """Log-density [N] of rows [N, 7] in a profile."""
    amount, hour, distance, count, age, channel, device = rows.T
    with np.errstate(divide="ignore"):
        counts, channels = np.log(_poisson(profile.rate)), np.log(profile.channels)
    return (
        _log_normal(amount, *profile.amount)
        + _wrapped_normal(hour, *profile.hour)
        + _log_normal(distance, *profile.distance)
        + counts[count.astype(np.int64)]
        + _log_normal(age, *profile.age)
        + channels[channel.astype(np.int64)]
        + np.where(device > 0.5, math.log(profile.new_device), math.log(1.0 - profile.new_device))
    )


def _poisson(rate: float) -> np.ndarray:
    """Probabilities of 0 to `_MOST`; the last has the rest."""
    counts = np.arange(_MOST + 1)
    logs = counts * math.log(rate) - rate - np.array([math.lgamma(count + 1.0) for count in counts])
    found = np.exp(logs)
    found[-1] += max(0.0, 1.0 - float(found.sum()))
    return found


def _log_normal(values: np.ndarray, median: float, deviation: float) -> np.ndarray:
    logs = np.log(values)
    return -0.5 * ((logs - math.log(median)) / deviation) ** 2 - math.log(deviation * math.sqrt(2.0 * math.pi)) - logs


def _wrapped_normal(hours: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    turns = _DAY * np.arange(-3, 4)  # of deviations up to 6 hours, those left out have a density below 1e-30
    distances = (hours[:, None] - mean + turns) / deviation
    density: np.ndarray = np.exp(-0.5 * distances**2).sum(1) / (deviation * math.sqrt(2.0 * math.pi))
    return np.log(density)
