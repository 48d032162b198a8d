"""GAN losses: the losses of both networks on a batch, and each formula as a function of scores and gradients."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gans.compilation import compiled
from gans.config import LossConfig
from gans.effective_weights import weights_kept
from lab import rng
from lab.nets.second_order import is_penalised, penalised
from lab.train.device import Device, autocast
from lab.train.schedules import value_at
from lab.train.step import LossTerm


class Batch(NamedTuple):
    """Real samples of one step and the further inputs of both networks.

    real: [B, ...]. numbers: int64 [B], the position of each sample in the order in which samples are shown; random
    numbers are a function of it. total: samples of the global batch, over all ranks. labels: int64 [B] of a
    conditional GAN. stage: further inputs of both networks, such as level and alpha of growing ones. condition:
    [B, ...], what the generator turns into samples, beside its noise.
    """

    real: Tensor
    numbers: Tensor
    total: int
    labels: Tensor | None = None
    stage: tuple[Any, ...] = ()
    condition: Tensor | None = None

    def rows(self, rows: slice) -> Self:
        labels = None if self.labels is None else self.labels[rows]
        condition = None if self.condition is None else self.condition[rows]
        return self._replace(real=self.real[rows], numbers=self.numbers[rows], labels=labels, condition=condition)


class Noise(Protocol):
    """The random inputs of a generator."""

    def __call__(self, numbers: Tensor, seed: int, *counters: int) -> tuple[Tensor, ...]:
        """Standard normal tensors [B, ...] for samples `numbers`, int64 [B]; `counters` begin with an rng stream."""
        ...


class Reconstruction(Protocol):
    """The distance of generated samples from the real ones that their condition was taken from."""

    def __call__(self, fake: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Samples [B, ...] each -> a mean over rows that is added to the generator's loss, and 0-d statistics."""
        ...


G = TypeVar("G", bound=nn.Module)


class AdversarialLoss(Generic[G]):
    """Losses of both networks on a batch. Owns generator, discriminator and the augmentation between them.

    generator(*noise, *stage, labels) -> samples [B, ...]; discriminator(samples, *stage, labels) -> scores [B]. A
    batch with a condition is given to generator(*noise, condition, *stage, labels).
    augment: (samples, numbers) -> samples, applied to everything that the discriminator sees. group: number of rows
    whose scores depend on each other (minibatch statistics), 1 for none. compile: torch.compile for passes that are
    differentiated once. reconstruction: added to the loss of a generator whose samples have real counterparts.
    """

    def __init__(
        self,
        config: LossConfig,
        generator: G,
        discriminator: nn.Module,
        *,
        noise: Noise,
        device: Device,
        seed: int,
        augment: Callable[[Tensor, Tensor], Tensor] | None = None,
        group: int = 1,
        compile: bool = False,
        reconstruction: Reconstruction | None = None,
    ) -> None:
        self.config, self.generator, self.discriminator = config, generator, discriminator
        self._reconstruction = reconstruction
        self._noise, self._augment, self._group, self._device, self._seed = noise, augment, group, device, seed
        self._generate: Callable[..., Tensor] = compiled(generator) if compile else generator
        # Compiled graphs have no second derivative, so penalised scores use the network itself.
        self._discriminate: Callable[..., Tensor] = compiled(discriminator) if compile else discriminator

    @weights_kept()
    def of_discriminator(self, batch: Batch, *, step: int, shown: int) -> LossTerm:
        """step: discriminator steps so far; a lazy penalty is due every `lazy` steps. shown: real samples so far."""
        config, real = self.config, batch.real
        with torch.no_grad():
            fake = self._fake(batch, phase=0)
        penalty = torch.zeros((), device=real.device)
        if config.name == "wgan-gp":
            real_scores, fake_scores = self._score_both(real, fake, batch)
            weight = rng.uniform(self._seed, int(rng.Stream.INTERPOLATE), batch.numbers)
            mixed = torch.lerp(real, fake, weight.view(-1, *[1] * (real.dim() - 1))).requires_grad_()
            with penalised():
                mixed_scores = self._score(mixed, batch)
            squared_norm = squared_gradient_norm(mixed_scores, mixed)
            penalty = gradient_penalty(squared_norm, config.gradient_target, config.penalty_weight)
            loss = wasserstein_critic(real_scores, fake_scores, config.drift)
        elif config.name == "non-saturating":
            if step % config.lazy == 0:
                real = real.detach().requires_grad_()  # the penalty needs a graph to the real samples alone
                with penalised():
                    real_scores = self._score(real, batch)
                fake_scores = self._score(fake, batch)
                squared_norm = squared_gradient_norm(real_scores, real)
                penalty = zero_centred_penalty(squared_norm, value_at(config.gamma, shown)) * config.lazy
            else:
                real_scores, fake_scores = self._score_both(real, fake, batch)
            loss = non_saturating_discriminator(real_scores, fake_scores)
        else:
            both = torch.cat([real, fake]).requires_grad_()
            with penalised():
                real_scores, fake_scores = self._score_both(both[: len(real)], both[len(real) :], batch)
            squared_norm = squared_gradient_norm(torch.cat([real_scores, fake_scores]), both)
            # R1 + R2, each a mean over its half.
            penalty = 2.0 * zero_centred_penalty(squared_norm, value_at(config.gamma, shown))
            loss = relativistic(real_scores, fake_scores)
        total = loss + penalty
        statistics = {
            "loss/discriminator": total,
            "loss/penalty": penalty,
            "train/real_score": real_scores.mean(),
            "train/fake_score": fake_scores.mean(),
            "train/real_sign": real_scores.sign().mean(),
        }
        return _weighted(total, statistics, batch)

    @weights_kept()
    def of_generator(self, batch: Batch, *, step: int, shown: int) -> LossTerm:
        """Arguments as in `of_discriminator`; the loss depends on neither step nor shown."""
        fake = self._fake(batch, phase=1)
        fake_scores = self._score(fake, batch)
        if self.config.name == "wgan-gp":
            loss = wasserstein_generator(fake_scores)
        elif self.config.name == "non-saturating":
            loss = non_saturating_generator(fake_scores)
        else:
            with torch.no_grad():
                real_scores = self._score(batch.real, batch)
            loss = relativistic(fake_scores, real_scores)
        statistics = {"loss/generator": loss}
        if self._reconstruction is not None:
            distance, found = self._reconstruction(fake, batch.real)
            loss, statistics = loss + distance, statistics | found
        return _weighted(loss, statistics, batch)

    def _fake(self, batch: Batch, phase: int) -> Tensor:
        """Generated samples [B, ...]; both phases of a step have their own noise."""
        noise = self._noise(batch.numbers, self._seed, int(rng.Stream.LATENT), phase)
        given = () if batch.condition is None else (batch.condition,)
        with autocast(self._device):
            return self._generate(*noise, *given, *batch.stage, batch.labels).float()

    def _score(self, samples: Tensor, batch: Batch) -> Tensor:
        return self._scores(self._augmented(samples, batch), batch.stage, batch.labels)

    def _score_both(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores [B] of real and generated samples, in one pass where that changes no minibatch statistic."""
        if len(real) % self._group:
            return self._score(real, batch), self._score(fake, batch)
        both = torch.cat([self._augmented(real, batch), self._augmented(fake, batch)])
        labels = None if batch.labels is None else torch.cat([batch.labels, batch.labels])
        real_scores, fake_scores = self._scores(both, batch.stage, labels).chunk(2)
        return real_scores, fake_scores

    def _scores(self, samples: Tensor, stage: tuple[Any, ...], labels: Tensor | None) -> Tensor:
        discriminate = self.discriminator if is_penalised() else self._discriminate
        with autocast(self._device):
            return discriminate(samples, *stage, labels).float()

    def _augmented(self, samples: Tensor, batch: Batch) -> Tensor:
        return samples if self._augment is None else self._augment(samples, batch.numbers)


def _weighted(loss: Tensor, statistics: dict[str, Tensor], batch: Batch) -> LossTerm:
    if len(batch.real) == batch.total:
        return LossTerm(loss, statistics)
    fraction = len(batch.real) / batch.total
    return LossTerm(loss * fraction, {name: value.detach() * fraction for name, value in statistics.items()})


def squared_gradient_norm(scores: Tensor, samples: Tensor) -> Tensor:
    """|d score_i / d sample_i|**2, [B], differentiable.

    `samples` [B, ...] require gradients. Each score [B] is treated as a function of its own sample, as in every penalty
    of the literature.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


def wasserstein_critic(real: Tensor, fake: Tensor, drift: float) -> Tensor:
    """Scores [B] each. The drift term keeps real scores near 0 (Karras et al. 2018, appendix A.1)."""
    return fake.mean() - real.mean() + drift * real.square().mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """Scores [B] of fakes."""
    return -fake.mean()


def gradient_penalty(squared_norm: Tensor, target: float, weight: float) -> Tensor:
    """weight * (|gradient| - target)**2 / target**2 (Gulrajani et al. 2017; target 750 in Karras et al. 2018, A.1)."""
    norm = (squared_norm + 1e-12).sqrt()  # the gradient of sqrt is infinite at 0
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
    """softplus(worse_i - better_i) of pairs, scores [B] each. `better` are real samples for the discriminator and
    generated samples for the generator (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2)."""
    return F.softplus(worse - better).mean()
