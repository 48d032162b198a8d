"""The growing networks: growth changes nothing at first, and every layer is what the paper says."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gans.losses import (
    gradient_penalty,
    relativistic,
    squared_gradient_norm,
    wasserstein_critic,
    zero_centred_penalty,
)
from gans.progressive.config import GrowthConfig, NetworkConfig
from gans.progressive.growth import Stage, images_until, stage_at
from gans.progressive.network import (
    TRANSPOSED_FROM,
    Discriminator,
    EnlargedConv,
    Generator,
    NormalisedConv,
    channels_at,
    enlarge,
    fade_reals,
    minibatch_stddev,
    reduce,
)

CONFIG = NetworkConfig(resolution=32, channels=3, fmap_base=128, fmap_max=16, latent=12)


@pytest.fixture
def nets() -> tuple[Generator, Discriminator]:
    torch.manual_seed(3)
    return Generator(CONFIG), Discriminator(CONFIG)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_at_alpha_0_nothing_has_grown(nets: tuple[Generator, Discriminator], level: int) -> None:
    generator, discriminator = nets
    latents, images = torch.randn(6, 12), torch.randn(6, 3, 4 * 2**level, 4 * 2**level)
    torch.testing.assert_close(generator(latents, level, 0.0), enlarge(generator(latents, level - 1)), rtol=0, atol=0)
    torch.testing.assert_close(
        discriminator(images, level, 0.0), discriminator(reduce(images), level - 1), rtol=0, atol=0
    )


@pytest.mark.parametrize("level", [0, 1, 3])
def test_at_alpha_1_they_are_plain_networks(nets: tuple[Generator, Discriminator], level: int) -> None:
    generator, discriminator = nets
    g, c = generator.state_dict(), discriminator.state_dict()

    def conv(x: torch.Tensor, state: dict[str, torch.Tensor], name: str, gain: float = 2.0**0.5) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(
            x, weight * gain / weight[0].numel() ** 0.5, state[f"{name}.bias"], padding=weight.shape[-1] // 2
        )

    def norm(x: torch.Tensor) -> torch.Tensor:
        return x / (x.pow(2).mean(1, keepdim=True) + 1e-8).sqrt()

    def dense(x: torch.Tensor, state: dict[str, torch.Tensor], name: str, gain: float) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return x @ (weight * gain / weight.shape[1] ** 0.5).T + state[f"{name}.bias"]

    latents = torch.randn(5, 12)
    x = dense(norm(latents), g, "blocks.0.dense", 2.0**0.5 / 4).view(5, -1, 4, 4)
    x = norm(F.leaky_relu(conv(norm(F.leaky_relu(x, 0.2)), g, "blocks.0.conv.conv"), 0.2))
    for k in range(1, level + 1):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = norm(F.leaky_relu(conv(x, g, f"blocks.{k}.enlarged.conv"), 0.2))
        x = norm(F.leaky_relu(conv(x, g, f"blocks.{k}.conv.conv"), 0.2))
    expected = conv(x, g, f"to_rgb.{level}", 1.0)
    torch.testing.assert_close(generator(latents, level), expected, rtol=1e-4, atol=1e-5)

    images = torch.randn(4, 3, 4 * 2**level, 4 * 2**level)
    y = F.leaky_relu(conv(images, c, f"from_rgb.{level}.conv"), 0.2)
    for k in range(level, 0, -1):
        y = F.leaky_relu(conv(y, c, f"blocks.{k}.conv.conv"), 0.2)
        y = F.avg_pool2d(F.leaky_relu(conv(y, c, f"blocks.{k}.reduced.conv"), 0.2), 2)
    spread = minibatch_stddev(y, 4)[:, None, None, None].expand(-1, 1, 4, 4)
    y = F.leaky_relu(conv(torch.cat([y, spread], 1), c, "blocks.0.conv.conv"), 0.2)
    y = F.leaky_relu(dense(y.flatten(1), c, "blocks.0.dense", 2.0**0.5), 0.2)
    torch.testing.assert_close(discriminator(images, level), dense(y, c, "out", 1.0)[:, 0], rtol=1e-4, atol=1e-5)


def test_the_transposed_enlargement_is_the_readable_one(nets: tuple[Generator, Discriminator]) -> None:
    block = nets[0].get_submodule("blocks.2.enlarged")
    assert isinstance(block, EnlargedConv)
    x = torch.randn(3, 16, TRANSPOSED_FROM, TRANSPOSED_FROM)
    torch.testing.assert_close(block(x), NormalisedConv.forward(block, enlarge(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (6, 4), (3, 4), (5, 2), (4, 1)])
def test_minibatch_statistic_against_numpy(batch: int, group: int) -> None:
    x = torch.randn(batch, 3, 4, 4)
    values = []
    for start in range(0, batch, group):
        rows = x[start : start + group].numpy()
        values += [np.sqrt(rows.var(0) + 1e-8).mean()] * len(rows)
    np.testing.assert_allclose(minibatch_stddev(x, group).numpy(), np.array(values), rtol=1e-5, atol=1e-6)


def test_joined_batches_keep_their_statistics() -> None:
    one, other = torch.randn(8, 3, 4, 4), torch.randn(8, 3, 4, 4)
    apart = torch.cat([minibatch_stddev(one, 4), minibatch_stddev(other, 4)])
    torch.testing.assert_close(minibatch_stddev(torch.cat([one, other]), 4), apart, rtol=0, atol=0)


def test_sizes_are_the_papers() -> None:
    paper = NetworkConfig(resolution=1024, fmap_base=8192, fmap_max=512, latent=512)
    assert [channels_at(paper, 4 * 2**k) for k in range(9)] == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    with torch.device("meta"):
        sizes = [sum(p.numel() for p in net.parameters()) for net in (Generator(paper), Discriminator(paper))]
    assert [round(size / 1e6, 1) for size in sizes] == [23.1, 23.1]  # table 2


def test_weights_are_stored_at_deviation_1() -> None:
    torch.manual_seed(0)
    for name, weight in Generator(NetworkConfig(resolution=16, fmap_base=1024, latent=64)).named_parameters():
        if name.endswith("weight") and weight.numel() > 5000:
            assert abs(float(weight.detach().std()) - 1.0) < 0.05, name


def test_a_faded_real_image_is_between_blurred_and_sharp() -> None:
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(fade_reals(images, 0.0), enlarge(reduce(images)))
    torch.testing.assert_close(fade_reals(images, 0.25), 0.75 * enlarge(reduce(images)) + 0.25 * images)
    assert fade_reals(images, 1.0) is images


def test_the_schedule_at_every_boundary() -> None:
    growth = GrowthConfig(start=4, fade_images=100, stable_images=50)
    expected = {
        0: Stage(0, 4, 1.0),
        49: Stage(0, 4, 1.0),
        50: Stage(1, 8, 0.0),
        51: Stage(1, 8, 0.01),
        149: Stage(1, 8, 0.99),
        150: Stage(1, 8, 1.0),
        199: Stage(1, 8, 1.0),
        200: Stage(2, 16, 0.0),
        299: Stage(2, 16, 0.99),
        300: Stage(2, 16, 1.0),
        350: Stage(2, 16, 1.0),
        10**9: Stage(2, 16, 1.0),
    }
    assert {images: stage_at(growth, 16, images) for images in expected} == expected
    assert stage_at(growth, 16, images_until(growth, 16)).alpha == 1.0
    assert stage_at(growth, 16, images_until(growth, 16) - 1).alpha == 0.99
    assert stage_at(GrowthConfig(fade_images=0, stable_images=50), 16, 50) == Stage(1, 8, 1.0)
    assert stage_at(GrowthConfig(fade_images=0, stable_images=0), 16, 0) == Stage(2, 16, 1.0)
    assert stage_at(GrowthConfig(start=16), 16, 5) == Stage(2, 16, 1.0)


def test_penalties_of_a_linear_discriminator() -> None:
    weight = torch.randn(3, 4, 4)
    length = float(weight.norm())
    images = torch.randn(5, 3, 4, 4, requires_grad=True)
    squared = squared_gradient_norm((images * weight).sum((1, 2, 3)), images)
    torch.testing.assert_close(squared, torch.full((5,), length**2))
    assert float(gradient_penalty(squared, 750.0, 10.0)) == pytest.approx(10 * (length - 750) ** 2 / 750**2, rel=1e-5)
    assert float(zero_centred_penalty(squared, 3.0)) == pytest.approx(1.5 * length**2, rel=1e-5)


def test_losses_of_known_scores() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])
    assert float(wasserstein_critic(real, fake, 0.001)) == pytest.approx(1.0 - 2.0 + 0.001 * 5.0)
    assert float(relativistic(real, fake)) == pytest.approx(np.log1p(np.exp(-1.0)), rel=1e-5)
