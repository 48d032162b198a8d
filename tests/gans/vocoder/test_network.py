"""The vocoder's networks: shapes, gradients that penalties need, and what training is to bring down."""

import torch

from gans.vocoder.network import Discriminator, Generator, log_magnitude
from gans.vocoder.spectral_loss import SpectralLoss, spectral_distance
from lab.audio.mel import log_mel, to_magnitude
from tests.gans.small_vocoder import config
from tests.lab.audio.waves import vowel

SMALL = config()
WAVE = vowel(4000, 1.0)[None]


def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(SMALL.network, SMALL.mel)


def test_a_spectrogram_becomes_a_wave_of_its_length() -> None:
    assert generator()(torch.full((2, 12, 9), -5.0)).shape == (2, 9 * 32)


def test_without_a_correction_the_magnitude_is_that_of_the_filters_inverse() -> None:
    net = generator()
    torch.nn.init.zeros_(net.out.weight)
    torch.nn.init.zeros_(net.out.bias)
    spectrogram = log_mel(WAVE, SMALL.mel)
    found = net.spectrum(spectrogram).abs().detach()
    assert torch.allclose(found, to_magnitude(spectrogram, SMALL.mel, iterations=0), atol=2e-5)


def test_scores_are_one_per_wave_and_twice_differentiable() -> None:
    net = Discriminator(SMALL.network)
    waves = WAVE.repeat(3, 1)[:, :512].requires_grad_()
    scores = net(waves)
    assert scores.shape == (3,)
    (gradient,) = torch.autograd.grad(scores.sum(), waves, create_graph=True)
    gradient.square().sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in net.parameters())
    assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in net.parameters())


def test_the_spectral_distance_of_half_a_wave_is_known() -> None:
    # Magnitudes differ by half, their logarithms by log 2.
    found = spectral_distance(0.5 * WAVE + 0.0, WAVE, [64])
    loud = log_magnitude(WAVE, 64) > -1.0  # elsewhere the constant under the root counts
    difference = (log_magnitude(WAVE, 64) - log_magnitude(0.5 * WAVE, 64)).abs()
    assert torch.allclose(difference[loud], torch.tensor(0.6931), atol=3e-3)
    assert float(found - difference.mean()) > 0.45
    assert float(spectral_distance(WAVE, WAVE, [64, 128])) == 0.0


def test_the_reconstruction_weighs_the_distance_and_reports_it() -> None:
    weighted, statistics = SpectralLoss([64], 5.0)(0.5 * WAVE, WAVE)
    assert torch.allclose(weighted, 5.0 * statistics["loss/spectral"])


def test_silence_has_finite_distances_and_gradients() -> None:
    silence = torch.zeros(1, 512, requires_grad=True)
    spectral_distance(silence, WAVE[:, :512], [64]).backward()
    assert silence.grad is not None and silence.grad.isfinite().all()
