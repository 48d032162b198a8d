"""GAN losses as functions of scores and gradients; all are 0-d means."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.config import LossConfig
from lab.nets.second_order import penalised

Score = Callable[[Tensor], Tensor]
"""Samples [B, ...] -> scores [B], differentiable twice within `lab.nets.second_order.penalised`."""
ScorePair = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Real and generated samples [B, ...] -> scores [B] of each, in one pass where that changes none of them."""


class DiscriminatorLoss(NamedTuple):
    """What the discriminator descends, the penalty within it included; scores [B] of real and of generated samples."""

    loss: Tensor
    penalty: Tensor
    real: Tensor
    fake: Tensor

    def statistics(self) -> dict[str, Tensor]:
        """What every catalogue of a GAN has of it, 0-d."""
        return {
            "loss/discriminator": self.loss,
            "loss/penalty": self.penalty,
            "train/real_score": self.real.mean(),
            "train/fake_score": self.fake.mean(),
        }


def discriminator_loss(
    config: LossConfig,
    step: int,
    real: Tensor,
    fake: Tensor,
    score: Score,
    score_pair: ScorePair,
    shares: Callable[[], Tensor],
) -> DiscriminatorLoss:
    """The configured loss of samples [B, ...], the generated ones detached from their generator.

    step: number of the discriminator step; the lazy penalty is due on every `lazy`-th. shares: weights [B] in [0, 1)
    of the generated sample in each interpolated sample of the Wasserstein penalty.
    """
    penalty = torch.zeros((), device=real.device)
    if config.name == "wgan-gp":
        of_real, of_fake = score_pair(real, fake)
        mixed = torch.lerp(real, fake, shares().view(-1, *[1] * (real.dim() - 1))).requires_grad_()
        with penalised():
            of_mixed = score(mixed)
        squared = squared_gradient_norm(of_mixed, mixed)
        penalty = gradient_penalty(squared, config.gradient_target, config.penalty_weight)
        loss = wasserstein_discriminator(of_real, of_fake, config.drift)
    elif config.name == "non-saturating":
        if step % config.lazy == 0:
            # The penalty needs a graph to the real samples alone.
            real = real.detach().requires_grad_()
            with penalised():
                of_real = score(real)
            of_fake = score(fake)
            squared = squared_gradient_norm(of_real, real)
            penalty = zero_centred_penalty(squared, config.gamma) * config.lazy
        else:
            of_real, of_fake = score_pair(real, fake)
        loss = non_saturating_discriminator(of_real, of_fake)
    else:
        both = torch.cat([real, fake]).requires_grad_()
        with penalised():
            of_real, of_fake = score_pair(both[: len(real)], both[len(real) :])
        squared = squared_gradient_norm(torch.cat([of_real, of_fake]), both)
        penalty = 2.0 * zero_centred_penalty(squared, config.gamma)  # R1 + R2, each a mean over its half
        loss = relativistic(of_real, of_fake)
    return DiscriminatorLoss(loss + penalty, penalty, of_real, of_fake)


def generator_loss(config: LossConfig, fake: Tensor, score_real: Callable[[], Tensor]) -> Tensor:
    """The configured loss of generated samples by their scores [B]; `score_real` gives those of as many real ones."""
    if config.name == "wgan-gp":
        return wasserstein_generator(fake)
    if config.name == "non-saturating":
        return non_saturating_generator(fake)
    with torch.no_grad():
        real = score_real()
    return relativistic(fake, real)


def squared_gradient_norm(scores: Tensor, samples: Tensor) -> Tensor:
    """|d score_i / d sample_i|**2, [B], differentiable. `samples` [B, ...] require gradients; rows of scores [B] are
    taken as functions of their own sample, as every penalty of the literature does."""
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


def wasserstein_discriminator(real: Tensor, fake: Tensor, drift: float) -> Tensor:
    """Scores [B] each. The drift keeps real scores near 0 (Karras et al. 2018, appendix A.1)."""
    return fake.mean() - real.mean() + drift * real.square().mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """Scores [B] of fakes."""
    return -fake.mean()


def gradient_penalty(squared_norm: Tensor, target: float, weight: float) -> Tensor:
    """weight * (|gradient| - target)**2 / target**2 (Gulrajani et al. 2017; target 750 in Karras et al. 2018, A.1)."""
    norm = (squared_norm + 1e-12).sqrt()  # the root of 0 has no gradient
    return weight * (norm - target).square().mean() / target**2


def zero_centred_penalty(squared_norm: Tensor, gamma: float) -> Tensor:
    """gamma / 2 * |gradient|**2: R1 on real, R2 on generated samples (Mescheder et al. 2018, section 4.1)."""
    return 0.5 * gamma * squared_norm.mean()


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Scores [B] each (Goodfellow et al. 2014)."""
    return F.softplus(fake).mean() + F.softplus(-real).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """Scores [B] of fakes."""
    return F.softplus(-fake).mean()


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """softplus(worse_i - better_i) of pairs, scores [B] each: real above fake for the discriminator, the reverse for
    the generator (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2)."""
    return F.softplus(worse - better).mean()
