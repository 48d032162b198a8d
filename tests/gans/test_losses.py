"""The losses of a discriminator whose scores are a product with known weights: everything has a closed form."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gans.config import LossConfig
from gans.losses import AdversarialLoss, Batch
from lab import rng
from lab.train.device import Device

WEIGHTS = torch.tensor([3.0, 4.0])  # a gradient of length 5
REAL = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])
FAKE = torch.tensor([[[1.0], [1.0]], [[0.5], [0.0]]])
OF_REAL, OF_FAKE = torch.tensor([3.0, 4.0]), torch.tensor([7.0, 1.5])
BATCH = Batch(REAL, torch.arange(2), total=2)


class Fixed(nn.Module):
    """A generator that makes `FAKE`."""

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        return FAKE


class Linear(nn.Module):
    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return (samples[:, :, 0] * WEIGHTS).sum(1)


def noise(numbers: Tensor, seed: int, *counters: int) -> tuple[Tensor]:
    return (rng.normal(seed, *counters, numbers),)


def loss_of(config: LossConfig) -> AdversarialLoss[Fixed]:
    device = Device(torch.device("cpu"), "fp32", 1)
    return AdversarialLoss(config, Fixed(), Linear(), noise=noise, device=device, seed=0)


def found(config: LossConfig, step: int = 0, shown: int = 0) -> tuple[float, float]:
    """The discriminator's loss and the penalty within it."""
    share = loss_of(config).of_discriminator(BATCH, step=step, shown=shown)
    assert share.statistics["train/real_score"] == OF_REAL.mean() and share.statistics["train/real_sign"] == 1.0
    assert share.statistics["train/fake_score"] == OF_FAKE.mean()
    return float(share.loss.detach()), float(share.statistics["loss/penalty"])


def test_the_wasserstein_loss_has_its_penalty_and_drift() -> None:
    loss, penalty = found(LossConfig(name="wgan-gp", penalty_weight=10.0, gradient_target=2.0, drift=0.1))
    assert penalty == pytest.approx(10.0 * (5.0 - 2.0) ** 2 / 2.0**2)
    assert loss == pytest.approx((7.0 + 1.5) / 2 - (3.0 + 4.0) / 2 + 0.1 * (9.0 + 16.0) / 2 + penalty)


def test_the_penalty_of_the_non_saturating_loss_is_lazy() -> None:
    config = LossConfig(name="non-saturating", gamma=0.2, lazy=4)
    plain = float(F.softplus(OF_FAKE).mean() + F.softplus(-OF_REAL).mean())
    loss, penalty = found(config, step=3)
    assert penalty == 0.0 and loss == pytest.approx(plain)
    loss, penalty = found(config, step=8)
    assert penalty == pytest.approx(4 * 0.1 * 25.0) and loss == pytest.approx(plain + penalty)


def test_gamma_follows_its_schedule() -> None:
    config = LossConfig.model_validate(
        {"name": "relativistic", "gamma": {"schedule": "linear", "start": 1.0, "end": 0.0, "until": 100}}
    )
    penalties = [found(config, shown=shown)[1] for shown in (0, 50, 100)]
    assert penalties == pytest.approx([25.0, 12.5, 0.0])


def test_the_relativistic_loss_compares_pairs_and_is_penalised_on_both_sides() -> None:
    loss, penalty = found(LossConfig(name="relativistic", gamma=0.2))
    assert penalty == pytest.approx(2 * 0.1 * 25.0)
    assert loss == pytest.approx((math.log1p(math.exp(4.0)) + math.log1p(math.exp(-2.5))) / 2 + penalty)


def test_the_generator_wants_the_reverse() -> None:
    expected = {
        "wgan-gp": -(7.0 + 1.5) / 2,
        "non-saturating": float(F.softplus(-OF_FAKE).mean()),
        "relativistic": (math.log1p(math.exp(-4.0)) + math.log1p(math.exp(2.5))) / 2,
    }
    for name, value in expected.items():
        share = loss_of(LossConfig.model_validate({"name": name})).of_generator(BATCH, step=0, shown=0)
        assert float(share.loss) == pytest.approx(value)
