"""The losses of the game between generator and critic, as functions of scores and gradients. All return 0-d means."""

import torch
import torch.nn.functional as F
from torch import Tensor


def squared_gradient_norm(scores: Tensor, images: Tensor) -> Tensor:
    """|d score_i / d image_i|**2, [B], differentiable. `images` [B, ...] require gradients; rows of scores [B] are
    taken as functions of their own image, as every penalty of the literature does."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


def wasserstein_critic(real: Tensor, fake: Tensor, drift: float) -> Tensor:
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
    """gamma / 2 * |gradient|**2: R1 on real, R2 on generated images (Mescheder et al. 2018, section 4.1)."""
    return 0.5 * gamma * squared_norm.mean()


def non_saturating_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Scores [B] each (Goodfellow et al. 2014)."""
    return F.softplus(fake).mean() + F.softplus(-real).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """Scores [B] of fakes."""
    return F.softplus(-fake).mean()


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """softplus(worse_i - better_i) of pairs, scores [B] each: the critic wants real above fake, the generator the
    reverse (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2)."""
    return F.softplus(worse - better).mean()
