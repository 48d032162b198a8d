"""Sampling from a generator: images, interpolations, and the same latents at every stage."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gans.progressive.growth import level_of
from gans.progressive.network import hypersphere
from gans.progressive.sampler import Sampler
from lab import rng
from lab.errors import UserError
from lab.files.plain import open_regular
from lab.plots.images import enlarged, to_uint8
from lab.train.device import autocast


def latents_of(sampler: Sampler, indices: Sequence[int], seed: int) -> Tensor:
    """[N, latent] on the hypersphere; image i is a function of (seed, i) alone."""
    device = sampler.device.device
    which = torch.tensor(list(indices), dtype=torch.int64, device=device)[:, None]
    places = torch.arange(sampler.config.network.latent, device=device)
    return hypersphere(rng.normal(seed, int(rng.Stream.SAMPLE), which, places))


def labels_of(sampler: Sampler, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor | None:
    """int64 [N]: `label`, or classes drawn by (seed, i) with the shares of the data; None without classes."""
    if not sampler.classes:
        return None
    which = torch.tensor(list(indices), dtype=torch.int64, device=sampler.device.device)
    return sampler.classes.draw(which, seed) if label is None else torch.full_like(which, label)


@torch.no_grad()
def generate_batches(sampler: Sampler, latents: Tensor, labels: Tensor | None = None) -> Iterator[Tensor]:
    """Latents [N, latent] -> uint8 [B, C, R, R] on the CPU, in batches that fit into memory."""
    stage, size = sampler.stage, _batch(sampler)
    for start in range(0, len(latents), size):
        # Full batches, the last image repeated: the number of rows may change how sums are rounded.
        rows = torch.arange(start, start + size, device=latents.device).clamp_max(len(latents) - 1)
        with autocast(sampler.device):
            images = sampler.generator(
                latents[rows], stage.level, stage.alpha, None if labels is None else labels[rows]
            )
        yield to_uint8(images[: len(latents) - start]).cpu()


def generate(sampler: Sampler, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Latents [N, latent] -> uint8 [N, C, R, R] on the CPU."""
    return torch.cat(list(generate_batches(sampler, latents, labels)))


def sample(sampler: Sampler, indices: Sequence[int], seed: int, labels: Tensor | None = None) -> Tensor:
    """Images number `indices` of a seed, uint8 [N, C, R, R] on the CPU.

    labels: int64 [N] of a conditional generator, by default those of `labels_of`.
    """
    labels = labels_of(sampler, indices, seed) if labels is None else labels.to(sampler.device.device)
    return generate(sampler, latents_of(sampler, indices, seed), labels)


def sample_batches(
    sampler: Sampler, indices: Sequence[int], seed: int, labels: Tensor | None = None
) -> Iterator[Tensor]:
    """`sample` in batches that fit into memory."""
    size = _batch(sampler)
    for start in range(0, len(indices), size):
        part = slice(start, start + size)
        yield sample(sampler, indices[part], seed, None if labels is None else labels[part])


def read_latents(sampler: Sampler, path: Path) -> Tensor:
    """Latents [N, latent] of a .npy file, on the device. Raises UserError."""
    wanted = sampler.config.network.latent
    try:
        with open_regular(path):
            pass
        values = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header may name more than the file holds
    except (OSError, ValueError, EOFError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: cannot read latents as a .npy file ({error})") from None
    if not isinstance(values, np.ndarray):
        raise UserError(f"{path}: holds several arrays; latents are one, in a .npy file")
    if values.ndim != 2 or values.shape[1] != wanted or not np.issubdtype(values.dtype, np.floating) or not len(values):
        raise UserError(f"{path}: holds {values.dtype} {list(values.shape)}; latents are float [N, {wanted}]")
    with np.errstate(over="ignore"):
        latents = torch.from_numpy(values.astype(np.float32))
    broken = ~latents.isfinite().all(1)
    if broken.any():
        raise UserError(f"{path}: latent {int(broken.nonzero()[0])} is not finite in float32")
    return latents.to(sampler.device.device)


def slerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """Spherical interpolation [N, latent] (White 2016): start at weight 0, end at 1, both of equal length."""
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=-1).clamp(-1.0 + 1e-6, 1.0 - 1e-6)
    angle = torch.acos(cosine)[..., None]
    return (torch.sin((1.0 - weight) * angle) * start + torch.sin(weight * angle) * end) / torch.sin(angle)


def interpolation(sampler: Sampler, keys: Tensor, between: int, labels: Tensor | None = None) -> Iterator[Tensor]:
    """Closed interpolation through latents [keys, cells, latent], with `between` frames from each to the next.

    Yields frames uint8 [cells, C, R, R]; labels: int64 [cells] if conditional.
    """
    points, cells = hypersphere(keys.flatten(0, 1)).view(keys.shape), keys.shape[1]
    at_once = max(1, _batch(sampler) // cells)
    # Cosine easing: the motion stops at the keys.
    weights = [0.5 - 0.5 * math.cos(math.pi * step / between) for step in range(between)]
    frames = [(key, weight) for key in range(len(points)) for weight in weights]
    for start in range(0, len(frames), at_once):
        latents = [
            slerp(points[key], points[(key + 1) % len(points)], weight)
            for key, weight in frames[start : start + at_once]
        ]
        repeated = None if labels is None else labels.repeat(len(latents))
        yield from generate(sampler, torch.cat(latents), repeated).split(cells)


def growth(sampler: Sampler, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Latents [N, latent] -> uint8 [stages * N, C, R, R]: the same latents at every resolution so far, one row each,
    enlarged to the last."""
    rows = []
    for level in range(level_of(sampler.config.growth.start), sampler.stage.level + 1):
        last = level == sampler.stage.level
        stage = sampler.stage if last else sampler.stage._replace(level=level, resolution=4 * 2**level, alpha=1.0)
        images = generate(replace(sampler, stage=stage), latents, labels)
        factor = sampler.stage.resolution // stage.resolution
        rows.append(enlarged(images, factor))
    return torch.cat(rows)


def _batch(sampler: Sampler) -> int:
    """Images per batch: at most 64, and as many pixels as one image of 1024 x 1024."""
    return max(1, min(64, 2**20 // sampler.stage.resolution**2))
