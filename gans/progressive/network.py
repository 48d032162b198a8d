"""Generator and discriminator, which work at every resolution of the growth.

Karras, Aila, Laine, Lehtinen: "Progressive growing of GANs", ICLR 2018, sections 2 to 4 and appendix A. A stage,
level and alpha, is an argument of every call; the networks do not store it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gans.progressive.config import NetworkConfig
from gans.progressive.growth import level_of
from lab import rng
from lab.nets.cnn import ConvBlock
from lab.nets.init import EQUALIZED, Init
from lab.nets.layers import Conv2d, Linear, scaled
from lab.nets.mlp import MLP

Alpha = float | Tensor
"""Weight of the newest resolution. A 0-d tensor always fades, so that one compiled graph serves every value."""

_MAPPING = Init(runtime=True, lr_multiplier=0.01)  # Karras et al. 2019, appendix C


def channels_at(config: NetworkConfig, resolution: int) -> int:
    """Feature maps at a resolution, table 2 of the paper as a rule."""
    return min(2 * config.fmap_base // resolution, config.fmap_max)


def enlarge(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, 2H, 2W], nearest neighbour."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def reduce(x: Tensor) -> Tensor:
    """[B, C, 2H, 2W] -> [B, C, H, W], mean of four."""
    return F.avg_pool2d(x, 2)


def fade_reals(images: Tensor, alpha: float) -> Tensor:
    """Real images as detailed as those of a fade: reduced and enlarged at alpha 0, unchanged at 1."""
    if alpha >= 1.0:
        return images
    return torch.lerp(enlarge(reduce(images)), images, alpha)


def channels_last(x: Tensor) -> Tensor:
    """The same values [B, C, H, W] in channels-last order, one channel included.

    With C = 1 torch reports either order as the plain one, and an element-wise operation on inputs of two orders is
    thirty times slower on a CPU.
    """
    if x.shape[1] == 1:
        return x.reshape(x.shape[0], *x.shape[2:], 1).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


def hypersphere(latents: Tensor) -> Tensor:
    """[B, latent] -> the same directions with length sqrt(latent)."""
    return latents * torch.rsqrt(latents.square().mean(1, keepdim=True) + 1e-8)


def noise(size: int, numbers: Tensor, seed: int, *counters: int) -> tuple[Tensor]:
    """Latents [B, size] of the images `numbers`, int64 [B]; see `gans.losses.Noise`."""
    places = torch.arange(size, device=numbers.device)
    return (rng.normal(seed, *counters, numbers[:, None], places),)


def is_fading(alpha: Alpha) -> bool:
    return isinstance(alpha, Tensor) or alpha < 1.0


class PixelNorm(nn.Module):
    """Normalise every pixel's feature vector to length sqrt(channels), section 4.2. [B, C, ...] -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        # x * x: the gradient of square() goes through a power.
        return x * torch.rsqrt((x * x).sum(1, keepdim=True) / x.shape[1] + 1e-8)


def minibatch_stddev(x: Tensor, group: int) -> Tensor:
    """[B, C, H, W] -> [B, C + 1, H, W]: one more map with the variation within the batch, section 3.

    The standard deviation of every feature over a group of neighbours in the batch, averaged over features and
    places. The last group may be shorter. Groups are contiguous, so batches whose sizes are multiples of
    the group can be joined without changing a value.
    """
    batch, channels, height, width = x.shape
    whole = batch - batch % group

    def statistic(rows: Tensor, size: int) -> Tensor:
        grouped = rows.reshape(-1, size, channels, height, width)
        spread = (grouped - grouped.mean(1, keepdim=True)).square().mean(1).add(1e-8).sqrt()
        return spread.mean((1, 2, 3)).repeat_interleave(size)

    parts = [statistic(x[:whole], group)] if whole else []
    if whole < batch:
        parts.append(statistic(x[whole:], batch - whole))
    values = torch.cat(parts) if len(parts) > 1 else parts[0]
    return channels_last(torch.cat([x, values[:, None, None, None].expand(-1, 1, height, width)], 1))


class EnlargedConv(nn.Module):
    """Nearest-neighbour enlargement and a 3x3 convolution, [B, C, H, W] -> [B, out, 2H, 2W].

    Every output pixel sees only 2x2 input pixels, so both are one transposed convolution with a 4x4 kernel: 4/9 of
    the multiplications. `fused` chooses the form; they are equal but for rounding.
    """

    def __init__(self, in_channels: int, out_channels: int, *, fused: bool = True) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, 3, init=EQUALIZED)
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        if not self.fused:
            return self.conv(enlarge(x))
        weight, bias = scaled(self.conv)
        kernel = weight.flip(2, 3).transpose(0, 1)
        kernel = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
        kernel = F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0))
        return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


class FirstGeneratorBlock(nn.Module):
    """Latents [B, latent] -> [B, channels, 4, 4]."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        # A quarter of the usual gain, as in the authors' code, since a latent contributes to 16 pixels.
        self.dense = Linear(latent, channels * 16, init=EQUALIZED.with_gain(math.sqrt(2.0) / 4.0))
        self.conv = ConvBlock(channels, channels, norm="none", activation="leaky_relu", init=EQUALIZED)
        self.norm = PixelNorm()

    def forward(self, latents: Tensor) -> Tensor:
        x = channels_last(self.dense(latents).unflatten(1, (-1, 4, 4)))
        return self.norm(self.conv(self.norm(F.leaky_relu(x, 0.2))))


class GeneratorBlock(nn.Module):
    """[B, in_channels, H, W] -> [B, out_channels, 2H, 2W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.enlarged = EnlargedConv(in_channels, out_channels)
        self.conv = ConvBlock(out_channels, out_channels, norm="none", activation="leaky_relu", init=EQUALIZED)
        self.norm = PixelNorm()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.norm(F.leaky_relu(self.enlarged(x), 0.2))))


class Generator(nn.Module):
    """Latents to images, at any level up to the final one."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        levels = level_of(config.resolution) + 1
        widths = [channels_at(config, 4 * 2**level) for level in range(levels)]
        inputs = config.latent * (2 if config.classes else 1)
        if config.classes:
            self.embedding = nn.Embedding(config.classes, config.latent)
        if config.mapping_layers:
            hidden = [config.latent] * (config.mapping_layers - 1)
            self.mapping = MLP(inputs, hidden, config.latent, activation="leaky_relu", init=_MAPPING)
            inputs = config.latent
        blocks: list[nn.Module] = [FirstGeneratorBlock(inputs, widths[0])]
        blocks += [GeneratorBlock(widths[level - 1], widths[level]) for level in range(1, levels)]
        self.blocks = nn.ModuleList(blocks)
        out = EQUALIZED.with_gain(1.0)
        self.to_rgb = nn.ModuleList(Conv2d(width, config.channels, 1, init=out) for width in widths)

    def forward(self, latents: Tensor, level: int, alpha: Alpha = 1.0, labels: Tensor | None = None) -> Tensor:
        """Latents [B, latent], labels int64 [B] if conditional -> [B, C, R, R] in about [-1, 1], R = 4 * 2**level."""
        x = hypersphere(latents)
        if self.config.classes:
            if labels is None:
                raise ValueError("a conditional generator needs labels")
            x = torch.cat([x, hypersphere(self.embedding(labels))], 1)
        if self.config.mapping_layers:
            x = hypersphere(self.mapping(x))
        before = x
        for block in self.blocks[: level + 1]:
            before, x = x, block(x)
        image = self.to_rgb[level](x)
        if level > 0 and is_fading(alpha):
            image = torch.lerp(enlarge(self.to_rgb[level - 1](before)).to(image.dtype), image, alpha)
        return image


class DiscriminatorBlock(nn.Module):
    """[B, in_channels, 2H, 2W] -> [B, out_channels, H, W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBlock(in_channels, in_channels, norm="none", activation="leaky_relu", init=EQUALIZED)
        self.reduced = ConvBlock(in_channels, out_channels, norm="none", activation="leaky_relu", init=EQUALIZED)

    def forward(self, x: Tensor) -> Tensor:
        return reduce(self.reduced(self.conv(x)))


class LastDiscriminatorBlock(nn.Module):
    """[B, channels, 4, 4] -> features [B, out_features]."""

    def __init__(self, channels: int, out_features: int, group: int) -> None:
        super().__init__()
        self.group = group
        extra = int(group > 1)
        self.conv = ConvBlock(channels + extra, channels, norm="none", activation="leaky_relu", init=EQUALIZED)
        self.dense = Linear(channels * 16, out_features, init=EQUALIZED)

    def forward(self, x: Tensor) -> Tensor:
        if self.group > 1:
            x = minibatch_stddev(x, self.group)
        return F.leaky_relu(self.dense(self.conv(x).flatten(1)), 0.2)


class Discriminator(nn.Module):
    """Images to scores, at any level up to the final one; conditional by projection (Miyato and Koyama 2018)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        levels = level_of(config.resolution) + 1
        widths = [channels_at(config, 4 * 2**level) for level in range(levels)]
        features = channels_at(config, 2)
        self.from_rgb = nn.ModuleList(
            ConvBlock(config.channels, width, 1, norm="none", activation="leaky_relu", init=EQUALIZED)
            for width in widths
        )
        blocks: list[nn.Module] = [LastDiscriminatorBlock(widths[0], features, config.minibatch_group)]
        blocks += [DiscriminatorBlock(widths[level], widths[level - 1]) for level in range(1, levels)]
        self.blocks = nn.ModuleList(blocks)
        self.out = Linear(features, 1, init=EQUALIZED.with_gain(1.0))
        if config.classes:
            self.embedding = nn.Embedding(config.classes, features)

    def forward(self, images: Tensor, level: int, alpha: Alpha = 1.0, labels: Tensor | None = None) -> Tensor:
        """[B, C, R, R], labels int64 [B] if conditional -> scores [B], R = 4 * 2**level."""
        images = channels_last(images)
        x = self.from_rgb[level](images)
        for at in range(level, 0, -1):
            x = self.blocks[at](x)
            if at == level and is_fading(alpha):
                x = torch.lerp(self.from_rgb[level - 1](reduce(images)).to(x.dtype), x, alpha)
        features = self.blocks[0](x)
        scores = self.out(features).squeeze(1)
        if self.config.classes:
            if labels is None:
                raise ValueError("a conditional discriminator needs labels")
            scores = scores + (features * self.embedding(labels)).sum(1) / math.sqrt(features.shape[1])
        return scores
