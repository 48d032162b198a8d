"""Generator and discriminator, which work at every resolution of the growth.

Karras, Aila, Laine, Lehtinen: "Progressive growing of GANs", ICLR 2018, sections 2 to 4 and appendix A. A stage,
level and alpha, is an argument of every call; the networks do not store it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gans.effective_weights import effective, enlarging, without_last_channel
from gans.progressive.config import NetworkConfig
from gans.progressive.fused.conv import fused_conv
from gans.progressive.fused.dense import fused_dense
from gans.progressive.fused.deviation import deviation
from gans.progressive.fused.norm import conv_norm, leaky_norm
from gans.progressive.growth import level_of
from lab import rng
from lab.nets.init import EQUALIZED, Init
from lab.nets.layers import Conv2d, Linear
from lab.nets.mlp import MLP

Alpha = float | Tensor
"""Weight of the newest resolution. A 0-d tensor always fades, so that one compiled graph serves every value."""

TRANSPOSED_FROM = 8  # pixels
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


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of convolutions on `x`: that of autocast where it is on."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def is_fading(alpha: Alpha) -> bool:
    return isinstance(alpha, Tensor) or alpha < 1.0


def minibatch_stddev(x: Tensor, group: int) -> Tensor:
    """[B, C, H, W] -> float32 [B]: the variation within the batch, section 3.

    The standard deviation of every feature over a group of neighbours in the batch, averaged over features and
    places. The last group may be shorter. Groups are contiguous, so batches whose sizes are multiples of the group can
    be joined without changing a value.
    """
    whole, x = len(x) - len(x) % group, x.float()
    parts = [_of_each(x[:whole] if whole < len(x) else x, group)] if whole else []
    if whole < len(x):
        parts.append(_of_each(x[whole:], len(x) - whole))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _of_each(x: Tensor, group: int) -> Tensor:
    """The deviation of its group for each row, [B]."""
    return deviation(x, group)[:, None].expand(-1, group).reshape(-1)


class LeakyConv(nn.Module):
    """Convolution, leaky ReLU and, with `pool`, the mean of 2x2 pixels: [B, C, H, W] -> [B, out, H', W']."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, *, pool: bool = False) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, kernel_size, init=EQUALIZED)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return fused_conv(x, effective(self.conv, x.dtype), pool=self.pool)


class NormalisedConv(nn.Module):
    """3x3 convolution, leaky ReLU and pixel norm (every pixel's feature vector gets length sqrt(C), section 4.2).

    [B, C, H, W] -> [B, out, H, W].
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, 3, init=EQUALIZED)

    def forward(self, x: Tensor) -> Tensor:
        return conv_norm(x, effective(self.conv, x.dtype))


class EnlargedConv(NormalisedConv):
    """Nearest-neighbour enlargement, then `NormalisedConv`, [B, C, H, W] -> [B, out, 2H, 2W].

    Every output pixel sees only 2x2 input pixels, so enlargement and convolution are one transposed convolution with a
    4x4 kernel: 4/9 of the multiplications. On maps below `TRANSPOSED_FROM` its overhead is larger than what it saves.
    Both forms are equal but for rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] < TRANSPOSED_FROM:
            return super().forward(enlarge(x))
        return conv_norm(x, effective(self.conv, x.dtype, enlarging), transposed=True)


class FirstGeneratorBlock(nn.Module):
    """Latents [B, latent] -> [B, channels, 4, 4] in `dtype`."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        # A quarter of the usual gain, as in the authors' code, since a latent contributes to 16 pixels.
        self.dense = Linear(latent, channels * 16, init=EQUALIZED.with_gain(math.sqrt(2.0) / 4.0))
        self.conv = NormalisedConv(channels, channels)

    def forward(self, latents: Tensor, dtype: torch.dtype) -> Tensor:
        x = _dense(self.dense, latents, leaky=False).unflatten(1, (-1, 4, 4))
        return self.conv(leaky_norm(channels_last(x.to(dtype))))


class GeneratorBlock(nn.Module):
    """[B, in_channels, H, W] -> [B, out_channels, 2H, 2W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.enlarged = EnlargedConv(in_channels, out_channels)
        self.conv = NormalisedConv(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.enlarged(x))


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
        dtype = compute_dtype(latents)
        with torch.autocast(latents.device.type, enabled=False):
            x = hypersphere(latents)
            if self.config.classes:
                if labels is None:
                    raise ValueError("a conditional generator needs labels")
                x = torch.cat([x, hypersphere(self.embedding(labels))], 1)
            if self.config.mapping_layers:
                x = hypersphere(self.mapping(x))
            first, *others = self.blocks[: level + 1]
            before = x = first(x, dtype)
            for block in others:
                before, x = x, block(x)
            image = self._image(x, level)
            if level > 0 and is_fading(alpha):
                image = torch.lerp(enlarge(self._image(before, level - 1)), image, alpha)
            return image

    def _image(self, x: Tensor, level: int) -> Tensor:
        """Feature maps of a level -> its image, float32."""
        layer = self.to_rgb[level]
        assert isinstance(layer, Conv2d)
        return fused_conv(x, effective(layer, x.dtype), leaky=False).float()


class DiscriminatorBlock(nn.Module):
    """[B, in_channels, 2H, 2W] -> [B, out_channels, H, W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = LeakyConv(in_channels, in_channels)
        self.reduced = LeakyConv(in_channels, out_channels, pool=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduced(self.conv(x))


class LastDiscriminatorBlock(nn.Module):
    """[B, channels, 4, 4] -> features [B, out_features], float32.

    The minibatch standard deviation is a further input map of the convolution, one value for each image. Its part of
    the result is that value times the sum of the kernel's weights inside the map, so that the map is never made.
    """

    inside: Tensor

    def __init__(self, channels: int, out_features: int, group: int) -> None:
        super().__init__()
        self.group = group
        self.conv = LeakyConv(channels + int(group > 1), channels)
        self.dense = Linear(channels * 16, out_features, init=EQUALIZED)
        # [16, 9]: whether each weight of a 3x3 kernel is inside the map at each of the 4x4 pixels.
        inside = F.unfold(torch.ones(1, 1, 4, 4, device="cpu"), 3, padding=1)[0].t()
        self.register_buffer("inside", inside, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return _dense(self.dense, self._features(x).float().flatten(1))

    def _features(self, x: Tensor) -> Tensor:
        if self.group == 1:
            return self.conv(x)
        conv = self.conv.conv
        weights, last = without_last_channel(conv, x.dtype)
        of_unit = self.inside @ last.flatten(1).t()  # [16, out]
        of_each = minibatch_stddev(x, self.group)[:, None, None] * of_unit
        offset = of_each.unflatten(1, (4, 4)).permute(0, 3, 1, 2).to(x.dtype)
        return fused_conv(x, weights, offset=offset)


class Discriminator(nn.Module):
    """Images to scores, at any level up to the final one; conditional by projection (Miyato and Koyama 2018)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        levels = level_of(config.resolution) + 1
        widths = [channels_at(config, 4 * 2**level) for level in range(levels)]
        features = channels_at(config, 2)
        self.from_rgb = nn.ModuleList(LeakyConv(config.channels, width, 1) for width in widths)
        blocks: list[nn.Module] = [LastDiscriminatorBlock(widths[0], features, config.minibatch_group)]
        blocks += [DiscriminatorBlock(widths[level], widths[level - 1]) for level in range(1, levels)]
        self.blocks = nn.ModuleList(blocks)
        self.out = Linear(features, 1, init=EQUALIZED.with_gain(1.0))
        if config.classes:
            self.embedding = nn.Embedding(config.classes, features)

    def forward(self, images: Tensor, level: int, alpha: Alpha = 1.0, labels: Tensor | None = None) -> Tensor:
        """[B, C, R, R], labels int64 [B] if conditional -> scores [B], R = 4 * 2**level."""
        dtype = compute_dtype(images)
        with torch.autocast(images.device.type, enabled=False):
            images = channels_last(images.to(dtype))
            x = self.from_rgb[level](images)
            for at in range(level, 0, -1):
                x = self.blocks[at](x)
                if at == level and is_fading(alpha):
                    x = torch.lerp(self.from_rgb[level - 1](reduce(images)), x, alpha)
            features = self.blocks[0](x)
            scores = _dense(self.out, features, leaky=False).squeeze(1)
            if self.config.classes:
                if labels is None:
                    raise ValueError("a conditional discriminator needs labels")
                scores = scores + (features * self.embedding(labels)).sum(1) / math.sqrt(features.shape[1])
            return scores


def _dense(layer: Linear, x: Tensor, *, leaky: bool = True) -> Tensor:
    return fused_dense(x, layer.weight, layer.bias, layer.weight_scale, leaky=leaky)
