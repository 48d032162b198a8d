"""Drawing: pictures depend on their own number alone; walks stay on the sphere and come back."""

import math

import numpy as np
import pytest
import torch

from gans.classes import Classes
from gans.progressive.growth import Stage
from gans.progressive.network import Generator
from gans.progressive.sampler import Sampler
from gans.progressive.sampling import (
    generate,
    generate_batches,
    growth,
    interpolation,
    labels_of,
    latents_of,
    sample,
    slerp,
)
from tests.gans.small_gan import DEVICE, config

GROWN = Stage(2, 16, 1.0)


def sampler(stage: Stage = GROWN, classes: int = 0) -> Sampler:
    torch.manual_seed(0)
    settings = config(network={"classes": classes})
    shares = Classes(tuple("abcdefghij"[:classes]), np.full(classes, 1.0 / max(classes, 1)))
    return Sampler(Generator(settings.network).eval(), settings, stage, 0, DEVICE, shares)


def test_a_picture_depends_on_its_number_and_not_on_its_batch() -> None:
    one = sampler()
    assert torch.equal(latents_of(one, [7], 3)[0], latents_of(one, range(10), 3)[7])
    apart, together = sample(one, [7], 3)[0].int(), sample(one, range(10), 3)[7].int()
    assert (apart - together).abs().max() <= 1  # rounding, at most


@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_the_first_pictures_are_the_same_bytes_however_many_follow(count: int) -> None:
    one = sampler(classes=3)
    assert torch.equal(sample(one, range(count), 3), sample(one, range(130), 3)[:count])


def test_as_many_are_drawn_at_once_as_memory_holds() -> None:
    one, latents = sampler(), torch.randn(70, 8)
    assert [len(batch) for batch in generate_batches(one, latents)] == [64, 6]
    assert torch.equal(torch.cat(list(generate_batches(one, latents))), generate(one, latents))


def test_latents_are_on_the_sphere_and_classes_are_drawn_evenly() -> None:
    one = sampler(classes=4)
    torch.testing.assert_close(latents_of(one, range(50), 0).square().mean(1), torch.ones(50))
    labels = labels_of(one, range(4000), 0)
    assert labels is not None
    assert torch.bincount(labels).min() > 900 and labels.max() == 3
    assert labels_of(sampler(), range(3), 0) is None


def test_spherical_interpolation_keeps_length_and_divides_the_angle() -> None:
    start, end = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    expected = torch.tensor([[2 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6), 0.0]])
    torch.testing.assert_close(slerp(start, end, 1 / 3), expected)


def test_a_walk_passes_through_its_keys_and_closes() -> None:
    one = sampler()
    keys = latents_of(one, range(6), 0).view(3, 2, 8)
    frames = torch.stack(list(interpolation(one, keys, 5)))
    assert frames.shape == (15, 2, 1, 16, 16)
    for key in range(3):
        assert (frames[5 * key].int() - generate(one, keys[key]).int()).abs().max() <= 1
    # Closed: a walk that begins at the second key is the same walk, begun later.
    rolled = torch.stack(list(interpolation(one, keys.roll(-1, 0), 5)))
    assert (rolled.roll(5, 0).int() - frames.int()).abs().max() <= 1
    half = generate(one, slerp(keys[2], keys[0], 0.5 - 0.5 * math.cos(math.pi * 2 / 5)))
    assert (frames[12].int() - half.int()).abs().max() <= 1


def test_a_walk_keeps_the_class_of_each_cell() -> None:
    one = sampler(classes=5)
    keys, labels = latents_of(one, range(4), 0).view(2, 2, 8), torch.tensor([3, 1])
    frames = list(interpolation(one, keys, 40, labels))  # 80 frames: more than one batch
    assert (frames[40].int() - generate(one, keys[1], labels).int()).abs().max() <= 1


def test_growth_has_a_row_for_every_resolution() -> None:
    one = sampler()
    latents = latents_of(one, range(3), 0)
    rows = growth(one, latents).view(3, 3, 1, 16, 16)
    assert torch.equal(rows[0, :, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3), rows[0])
    assert torch.equal(rows[2], sample(one, range(3), 0))


def test_the_last_row_of_growth_shows_a_fade_where_it_stands() -> None:
    fading = sampler(Stage(1, 8, 0.25))
    latents = latents_of(fading, range(3), 0)
    rows = growth(fading, latents).view(2, 3, 1, 8, 8)
    assert torch.equal(rows[1], generate(fading, latents))
    assert not torch.equal(rows[1], generate(sampler(Stage(1, 8, 1.0)), latents))
