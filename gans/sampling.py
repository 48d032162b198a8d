"""Drawing from a generator: pictures, walks between them, and the same latents at every stage."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gans.model import Sampler
from gans.network import hypersphere
from gans.pictures import to_uint8
from lab import rng
from lab.device import autocast
from lab.errors import UserError

_BATCH = 64


def latents_of(sampler: Sampler, indices: Sequence[int], seed: int) -> Tensor:
    """[N, latent] on the hypersphere; picture i is a function of (seed, i), whatever else is drawn."""
    device = sampler.device.device
    which = torch.tensor(list(indices), dtype=torch.int64, device=device)[:, None]
    places = torch.arange(sampler.config.network.latent, device=device)
    return hypersphere(rng.normal(seed, int(rng.Stream.SAMPLE), which, places))


def labels_of(sampler: Sampler, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor | None:
    """int64 [N]: the one asked for, or drawn by (seed, i); None for a generator without classes."""
    classes, device = sampler.config.network.classes, sampler.device.device
    if not classes:
        return None
    if label is not None:
        return torch.full((len(indices),), label, dtype=torch.int64, device=device)
    which = torch.tensor(list(indices), dtype=torch.int64, device=device)
    return rng.integers(classes, seed, int(rng.Stream.LABEL), which)


@torch.no_grad()
def draw(sampler: Sampler, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Latents [N, latent] -> uint8 [N, C, R, R] on the CPU, in batches."""
    stage, parts = sampler.stage, []
    for start in range(0, len(latents), _BATCH):
        picked = None if labels is None else labels[start : start + _BATCH]
        with autocast(sampler.device):
            images = sampler.generator(latents[start : start + _BATCH], stage.level, stage.alpha, picked)
        parts.append(to_uint8(images).cpu())
    return torch.cat(parts)


def sample(sampler: Sampler, indices: Sequence[int], seed: int, label: int | None = None) -> Tensor:
    """Pictures number `indices` of a seed, uint8 [N, C, R, R] on the CPU."""
    return draw(sampler, latents_of(sampler, indices, seed), labels_of(sampler, indices, seed, label))


def sample_batches(sampler: Sampler, indices: Sequence[int], seed: int, label: int | None = None) -> Iterator[Tensor]:
    """`sample` in batches, for more pictures than memory should hold."""
    for start in range(0, len(indices), _BATCH):
        yield sample(sampler, indices[start : start + _BATCH], seed, label)


def read_latents(sampler: Sampler, path: Path) -> Tensor:
    """Latents [N, latent] of a .npy file, on the device. Raises UserError."""
    wanted = sampler.config.network.latent
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot read latents ({error})") from None
    if values.ndim != 2 or values.shape[1] != wanted or not np.issubdtype(values.dtype, np.floating) or not len(values):
        raise UserError(f"{path}: holds {values.dtype} {list(values.shape)}; latents are float [N, {wanted}]")
    return torch.from_numpy(values.astype(np.float32)).to(sampler.device.device)


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Spherical interpolation [N, latent] at a share from 0 to 1 (White 2016); both ends of one length."""
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=-1).clamp(-1.0 + 1e-6, 1.0 - 1e-6)
    angle = torch.acos(cosine)[..., None]
    return (torch.sin((1.0 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)


def interpolation(
    sampler: Sampler, cells: int, keys: int, between: int, seed: int, label: int | None = None
) -> Iterator[Tensor]:
    """Frames uint8 [cells, C, R, R] of a closed walk through `keys` random latents, `between` frames from each."""
    points = [latents_of(sampler, range(k * cells, (k + 1) * cells), seed) for k in range(keys)]
    labels = labels_of(sampler, range(cells), seed, label)
    for key in range(keys):
        for step in range(between):
            # A cosine's ease in and out: the walk rests at the random points.
            share = 0.5 - 0.5 * math.cos(math.pi * step / between)
            yield draw(sampler, slerp(points[key], points[(key + 1) % keys], share), labels)


def growth(sampler: Sampler, count: int, seed: int, label: int | None = None) -> Tensor:
    """uint8 [stages * count, C, R, R]: row by row the same latents at every resolution so far, enlarged to the last."""
    latents, labels = latents_of(sampler, range(count), seed), labels_of(sampler, range(count), seed, label)
    rows = []
    first = sampler.config.growth.start.bit_length() - 3
    for level in range(first, sampler.stage.level + 1):
        alpha = sampler.stage.alpha if level == sampler.stage.level else 1.0
        stage = sampler.stage._replace(level=level, resolution=4 * 2**level, alpha=alpha)
        images = draw(Sampler(sampler.generator, sampler.config, stage, 0, sampler.device), latents, labels)
        factor = sampler.stage.resolution // stage.resolution
        rows.append(images.repeat_interleave(factor, 2).repeat_interleave(factor, 3))
    return torch.cat(rows)
