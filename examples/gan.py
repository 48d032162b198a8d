"""A progressive GAN in one file: grow, show, optimise both networks, log.

The networks, the losses, the data and the distance are parts of the lab; the training is all here. It learns
handwritten digits at 16 x 16 in two to three minutes on one CPU core and writes a grid of samples:

    python examples/gan.py --out digits.png
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from gans import losses
from gans.progressive.config import GrowthConfig, NetworkConfig
from gans.progressive.growth import Stage, stage_at
from gans.progressive.network import Discriminator, Generator, fade_reals
from gans.quality.distances import frechet_distance
from lab.data.batches import normalise, reduce_to
from lab.data.images import open_images
from lab.nets.second_order import penalised
from lab.plots.images import grid, save_png, to_uint8
from lab.train.ema import EMA

GAMMA, LAZY = 0.5, 16  # weight of the R1 penalty; it is computed on every 16th step, times 16


class GAN:
    """Generator, discriminator, their optimizers and the averaged generator that samples are drawn from."""

    def __init__(self, network: NetworkConfig, growth: GrowthConfig, learning_rate: float) -> None:
        self.network, self.growth = network, growth
        self.generator, self.discriminator = Generator(network), Discriminator(network)
        self.average = EMA(self.generator, 0.995, bias_correction=False)
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(net.parameters(), learning_rate, betas=(0.0, 0.99))
            for net in (self.generator, self.discriminator)
        )
        self.images_shown = self.steps = 0

    @property
    def stage(self) -> Stage:
        """The resolution in training and its fade, a pure function of the images shown."""
        return stage_at(self.growth, self.network.resolution, self.images_shown)

    def step(self, images: Tensor) -> dict[str, float]:
        """One step of both networks on real images uint8 [B, C, R, R]."""
        stage = self.stage
        reals = fade_reals(reduce_to(normalise(images), stage.resolution), stage.alpha)
        discriminator_loss = self._discriminator_step(reals, stage)
        generator_loss = self._generator_step(len(reals), stage)
        self.average.update(self.generator)
        self.images_shown += len(reals)
        self.steps += 1
        return {"discriminator": discriminator_loss, "generator": generator_loss}

    def _discriminator_step(self, reals: Tensor, stage: Stage) -> float:
        with torch.no_grad():
            fakes = self.generator(self._latents(len(reals)), stage.level, stage.alpha)
        penalty = torch.zeros(())
        if self.steps % LAZY == 0:
            reals = reals.detach().requires_grad_()
            with penalised():  # its convolutions are cheap to differentiate twice
                real_scores = self.discriminator(reals, stage.level, stage.alpha)
            squared = losses.squared_gradient_norm(real_scores, reals)
            penalty = losses.zero_centred_penalty(squared, GAMMA) * LAZY
        else:
            real_scores = self.discriminator(reals, stage.level, stage.alpha)
        fake_scores = self.discriminator(fakes, stage.level, stage.alpha)
        loss = losses.non_saturating_discriminator(real_scores, fake_scores) + penalty
        return descend(self.discriminator_optimizer, loss)

    def _generator_step(self, count: int, stage: Stage) -> float:
        fakes = self.generator(self._latents(count), stage.level, stage.alpha)
        scores = self.discriminator(fakes, stage.level, stage.alpha)
        return descend(self.generator_optimizer, losses.non_saturating_generator(scores))

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0) -> Tensor:
        """uint8 [N, C, R, R] of the averaged generator at the stage it has reached."""
        latents = self._latents(count, torch.Generator().manual_seed(seed))
        return to_uint8(self.average.module(latents, self.stage.level, self.stage.alpha))

    def _latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.network.latent, generator=generator)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """One step down the gradient of a loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def distance(real: Tensor, fake: Tensor, resolution: int) -> float:
    """Frechet distance of pixels in [-1, 1], both sets uint8 [N, C, R, R]; 0 for equal sets."""
    one, other = (reduce_to(normalise(images), resolution).flatten(1) for images in (real, fake))
    return frechet_distance(one, other)


def train(*, images: int, batch_size: int, learning_rate: float, out: Path | None, seed: int) -> float:
    """The loop: show real images, step, log. Returns the last distance to the real images."""
    torch.manual_seed(seed)
    reals = torch.from_numpy(open_images("digits").images)
    reals = reals[torch.randperm(len(reals))]
    network = NetworkConfig(resolution=16, channels=1, fmap_base=256, fmap_max=32, latent=32)
    phase = max(images // 8, batch_size)  # 4 x 4, fade to 8 x 8, 8 x 8, fade to 16 x 16, and half of it at 16 x 16
    gan = GAN(network, GrowthConfig(fade_images=phase, stable_images=phase), learning_rate)
    floor = distance(reals[::2], reals[1::2], network.resolution)
    start, found = time.monotonic(), float("nan")
    log_every = max(images // batch_size // 12, 1)
    while gan.images_shown < images:
        rows = torch.randint(len(reals), (batch_size,))
        values = gan.step(reals[rows])
        if gan.steps % log_every == 0 or gan.images_shown >= images:
            stage = gan.stage
            found = distance(reals, gan.sample(1000), stage.resolution)
            print(
                f"{gan.images_shown:7,} images  {time.monotonic() - start:5.1f} s  "
                f"{stage.resolution:2} x {stage.resolution:<2} alpha {stage.alpha:.2f}  "
                f"discriminator {values['discriminator']:.3f}  generator {values['generator']:.3f}  "
                f"Frechet distance {found:.2f}",
                flush=True,
            )
    print(f"Frechet distance of real images to other real images: {floor:.2f}")
    if out is not None:
        save_png(out, grid(gan.sample(64)))
        print(f"64 samples in {out}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=60_000, help="real images shown in all")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, help="FILE.png of 64 samples")
    parser.add_argument("--seed", type=int, default=0)
    train(**vars(parser.parse_args()))
