"""Drawing: pictures depend on their own number alone; walks stay on the sphere."""

import math

import torch

from gans.model import Sampler
from gans.network import Generator
from gans.sampling import growth, latents_of, sample, slerp
from gans.schedule import Stage
from tests.gans.small_gan import DEVICE, config


def sampler() -> Sampler:
    torch.manual_seed(0)
    settings = config()
    return Sampler(Generator(settings.network).eval(), settings, Stage(2, 16, 1.0), 0, DEVICE)


def test_a_picture_depends_on_its_number_and_not_on_its_batch() -> None:
    one = sampler()
    assert torch.equal(latents_of(one, [7], 3)[0], latents_of(one, range(10), 3)[7])
    apart, together = sample(one, [7], 3)[0].int(), sample(one, range(10), 3)[7].int()
    assert (apart - together).abs().max() <= 1  # rounding, at most


def test_spherical_interpolation_keeps_length_and_divides_the_angle() -> None:
    start, end = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    expected = torch.tensor([[2 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6), 0.0]])
    torch.testing.assert_close(slerp(start, end, 1 / 3), expected)


def test_growth_has_a_row_for_every_resolution() -> None:
    rows = growth(sampler(), 3, 0).view(3, 3, 1, 16, 16)
    assert torch.equal(rows[0, :, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3), rows[0])
    assert torch.equal(rows[2], sample(sampler(), range(3), 0))
