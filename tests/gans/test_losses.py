"""The configured losses of a discriminator whose scores are a product with known weights: all has a closed form."""

import math

import pytest
import torch
import torch.nn.functional as F

from gans.config import LossConfig
from gans.losses import discriminator_loss, generator_loss

WEIGHTS = torch.tensor([3.0, 4.0], dtype=torch.float64)  # a gradient of length 5
REAL = torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]], dtype=torch.float64)
FAKE = torch.tensor([[[1.0], [1.0]], [[0.5], [0.0]]], dtype=torch.float64)
OF_REAL, OF_FAKE = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor([7.0, 1.5], dtype=torch.float64)


def score(samples: torch.Tensor) -> torch.Tensor:
    return (samples[:, :, 0] * WEIGHTS).sum(1)


def found(config: LossConfig, step: int = 0) -> tuple[float, float]:
    """The discriminator's loss and the penalty within it."""
    result = discriminator_loss(
        config,
        step,
        REAL,
        FAKE,
        score,
        lambda real, fake: (score(real), score(fake)),
        lambda: torch.tensor([0.25, 0.5], dtype=torch.float64),
    )
    torch.testing.assert_close(result.real, OF_REAL)
    torch.testing.assert_close(result.fake, OF_FAKE)
    return float(result.loss.detach()), float(result.penalty.detach())


def test_the_wasserstein_loss_has_its_penalty_and_drift() -> None:
    loss, penalty = found(LossConfig(name="wgan-gp", penalty_weight=10.0, gradient_target=2.0, drift=0.1))
    assert penalty == pytest.approx(10.0 * (5.0 - 2.0) ** 2 / 2.0**2)
    assert loss == pytest.approx((7.0 + 1.5) / 2 - (3.0 + 4.0) / 2 + 0.1 * (9.0 + 16.0) / 2 + penalty)


def test_the_penalty_of_the_saturating_game_is_lazy() -> None:
    config = LossConfig(name="non-saturating", gamma=0.2, lazy=4)
    plain = float(F.softplus(OF_FAKE).mean() + F.softplus(-OF_REAL).mean())
    loss, penalty = found(config, step=3)
    assert penalty == 0.0 and loss == pytest.approx(plain)
    loss, penalty = found(config, step=8)
    assert penalty == pytest.approx(4 * 0.1 * 25.0) and loss == pytest.approx(plain + penalty)


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
        config = LossConfig.model_validate({"name": name})
        assert float(generator_loss(config, OF_FAKE, lambda: OF_REAL)) == pytest.approx(value)
