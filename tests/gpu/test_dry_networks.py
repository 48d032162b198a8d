"""Forward passes of the networks of every preset on CUDA tensors without data."""

import pytest
import torch

from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet
from agents.environments.factory import describe
from agents.ppo.config import PPOConfig
from agents.ppo.memory import _forward, _observations
from agents.ppo.policy import make_network as make_actor_critic
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import level_of
from gans.progressive.network import Discriminator, Generator
from gans.series import network as series
from gans.series.config import SeriesGANConfig
from lab.config.loading import load_preset
from lab.config.presets import preset_names
from lab.errors import UserError
from lab.grading.config import GradingConfig
from lab.grading.network import EssayBatch, EssayNetwork, Sizes
from lab.nets.rnn import set_padding_masked
from lab.sequences.config import SequencesConfig
from lab.sequences.network import DataSizes
from lab.sequences.shapes import build_network as build_sequence_network
from lab.supervised.config import SupervisedConfig
from lab.supervised.transfer import build_network
from lab.train.device import Device, autocast
from tests.gpu.fake_cuda import BF16, CUDA, FP32, devices_of, fake_cuda

pytestmark = pytest.mark.gpu_dry

BATCH = 8
IMAGE, TABLE, CLASSES = (3, 32, 32), (12,), 10
NEEDS_PETTINGZOO = "alphazero/pettingzoo"
GRADES = "sequences/essays"  # of another kind than its folder


def presets(kind: str) -> list[str]:
    return [name for name in preset_names() if name.startswith(f"{kind}/") and name not in (NEEDS_PETTINGZOO, GRADES)]


both_precisions = pytest.mark.parametrize("device", [FP32, BF16], ids=lambda device: device.precision)


@both_precisions
@pytest.mark.parametrize("name", presets("alphazero"))
def test_policy_and_value(name: str, device: Device) -> None:
    config = load_preset(name)
    assert isinstance(config, AlphaZeroConfig)
    game = config.game.make()
    with fake_cuda(recurrent=config.network.trunk == "recurrent"):
        network = make_network(config, game).to(CUDA)
        assert devices_of(network) == {"cuda"}
        observation = torch.zeros(BATCH, *game.observation_shape, device=CUDA)
        with autocast(device):
            logits, outcome = network(observation)
        assert logits.dtype == (torch.bfloat16 if device is BF16 else torch.float32)
        assert (logits.shape, outcome.shape) == ((BATCH, game.num_actions), (BATCH, 3))
        inference = InferenceNet(network, precision=device.precision)
        inference.update(network)
        logits, value = inference(observation)
        assert (logits.device, value.device) == (CUDA, CUDA)


@both_precisions
@pytest.mark.parametrize("name", presets("ppo"))
def test_actor_and_critic(name: str, device: Device) -> None:
    config = load_preset(name)
    assert isinstance(config, PPOConfig)
    try:
        spaces = describe(config.env).spaces
    except UserError as error:
        pytest.skip(str(error))  # its environment is a package of its own
    with fake_cuda(recurrent=True), autocast(device), torch.device(CUDA):
        network = make_actor_critic(config, spaces)[0].to(CUDA)
        assert {output.device for output in _forward(network, _observations(spaces, BATCH))} == {CUDA}


@both_precisions
@pytest.mark.parametrize("name", presets("progressive_gan"))
def test_growing_networks_at_every_level(name: str, device: Device) -> None:
    config = load_preset(name)
    assert isinstance(config, ProgressiveGANConfig)
    network = config.network
    with fake_cuda():
        generator, discriminator = Generator(network).to(CUDA), Discriminator(network).to(CUDA)
        labels = torch.zeros(BATCH, dtype=torch.int64, device=CUDA) if network.classes else None
        for level in range(level_of(network.resolution) + 1):
            with autocast(device):
                images = generator(torch.zeros(BATCH, network.latent, device=CUDA), level, 0.5, labels)
                scores = discriminator(images, level, 0.5, labels)
            assert (scores.shape, scores.device) == ((BATCH,), CUDA)


@both_precisions
@pytest.mark.parametrize("name", presets("series_gan"))
def test_series_networks(name: str, device: Device) -> None:
    config = load_preset(name)
    assert isinstance(config, SeriesGANConfig)
    network, length = config.network, config.data.length
    with fake_cuda(recurrent=True), autocast(device):
        generator, discriminator = series.Generator(network, 2).to(CUDA), series.Discriminator(network, 2).to(CUDA)
        noise = torch.zeros(BATCH, length, network.latent, device=CUDA)
        made = generator(noise, torch.zeros(BATCH, network.series_latent, device=CUDA))
        assert discriminator(made).device == CUDA


@both_precisions
@pytest.mark.parametrize("name", presets("supervised"))
def test_supervised_networks(name: str, device: Device) -> None:
    config = load_preset(name)
    assert isinstance(config, SupervisedConfig)
    shape = TABLE if config.network.name == "mlp" else IMAGE
    with fake_cuda(), autocast(device):
        network = build_network(config, shape, CLASSES).to(CUDA)
        assert network(torch.zeros(BATCH, *shape, device=CUDA)).device == CUDA


@both_precisions
@pytest.mark.parametrize("name", presets("sequences"))
def test_sequence_networks(name: str, device: Device) -> None:
    config = load_preset(name)
    assert isinstance(config, SequencesConfig)
    tokens = 0 if config.predicts_numbers else 12
    with fake_cuda(recurrent=True), autocast(device):
        network = build_sequence_network(config.network, DataSizes(12, tokens, 6)).to(CUDA)
        set_padding_masked(network, True)
        inputs = torch.zeros(BATCH, 6, dtype=torch.int64, device=CUDA)
        lengths = torch.full((BATCH,), 6, device=CUDA)
        assert network(inputs, lengths, inputs).device == CUDA


@both_precisions
def test_a_grading_network(device: Device) -> None:
    config = load_preset(GRADES)
    assert isinstance(config, GradingConfig)
    with fake_cuda(recurrent=True), autocast(device):
        network = EssayNetwork(config.network, Sizes(60, 7, 3), torch.arange(60), detects_shuffling=True).to(CUDA)
        set_padding_masked(network, True)
        tokens = torch.zeros(BATCH, 5, 9, dtype=torch.int64, device=CUDA)
        lengths = torch.full((BATCH, 5), 9, device=CUDA)
        opens, surface, scores = (torch.zeros(BATCH, width, device=CUDA) for width in (5, 7, 3))
        found = network(EssayBatch(tokens, lengths, opens, surface, scores, scores, torch.zeros(BATCH, device=CUDA)))
        assert found.scores.device == found.shuffled_logit.device == CUDA
