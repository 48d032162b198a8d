"""Losses of the learners on CUDA tensors without data: what comes before the backward pass."""

from functools import partial
from typing import Any

import pytest
import torch

from agents import games
from agents.alphazero.agent import make_network
from agents.alphazero.config import LearnerConfig
from agents.alphazero.learner import Learner
from agents.alphazero.records import RecordFormat, Samples, blank
from gans.losses import AdversarialLoss, Batch
from gans.progressive.network import Discriminator, Generator, noise
from lab.train.device import Device
from tests.agents.small_alphazero import config
from tests.gans.small_gan import config as gan_config
from tests.gpu.fake_cuda import BF16, CUDA, FP32, fake_cuda

pytestmark = pytest.mark.gpu_dry

ROWS = 6


@pytest.mark.parametrize("device", [FP32, BF16], ids=lambda device: device.precision)
@pytest.mark.parametrize("name", games.GAMES)
def test_losses_of_alphazero(name: str, device: Device) -> None:
    game = games.make(name)
    with fake_cuda():
        network = make_network(config(game={"name": name}), game)
        learner = Learner(network, game, LearnerConfig(batch_size=ROWS, decay_positions=10), device, seed=0)
        samples = Samples(*(field.to(CUDA) for field in blank(ROWS, game, RecordFormat())))
        batch = learner._batch(samples)
        assert all(field.device == CUDA for field in batch)
        loss, statistics = learner._losses(batch, ROWS, 0, slice(0, ROWS))[:2]
        assert {loss.device, *(value.device for value in statistics.values())} == {CUDA}
        learner.average.update(learner.net, 0.9)


@pytest.mark.parametrize("device", [FP32, BF16], ids=lambda device: device.precision)
@pytest.mark.parametrize("name", ["wgan-gp", "non-saturating", "relativistic"])
def test_losses_of_a_gan(name: str, device: Device) -> None:
    settings: Any = gan_config(loss={"name": name, "lazy": 2})
    network = settings.network
    with fake_cuda():
        generator, discriminator = Generator(network).to(CUDA), Discriminator(network).to(CUDA)
        loss = AdversarialLoss(
            settings.loss,
            generator,
            discriminator,
            noise=partial(noise, network.latent),
            device=device,
            seed=0,
            group=network.minibatch_group,
        )
        real = torch.zeros(8, network.channels, 8, 8, device=CUDA)
        batch = Batch(real, torch.arange(8, device=CUDA), total=8, labels=None, stage=(1, 0.5))
        assert loss.of_generator(batch, step=1, shown=0).loss.device == CUDA
        if name == "non-saturating":  # without a penalty, whose gradient needs a device
            assert loss.of_discriminator(batch, step=1, shown=0).loss.device == CUDA
