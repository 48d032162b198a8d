"""The real pictures of a run: whether they suit its networks, and what they look like at a stage."""

import torch
from torch import Tensor

from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage
from gans.progressive.network import fade_reals
from lab.data.batches import normalise, reduce_to
from lab.data.images import ImageSet
from lab.data.order import indices
from lab.errors import UserError
from lab.plots.images import to_uint8

_BATCH = 256


def reals_at(data: ImageSet, count: int, stage: Stage, seed: int = 0) -> Tensor:
    """uint8 [N, C, R, R]: `count` pictures (all, if there are fewer) as the critic sees them at a stage.

    They are drawn by the seed, since packed sets are often sorted by class.
    """
    rows = indices(len(data), seed, 0, min(count, len(data)))
    parts = []
    for start in range(0, len(rows), _BATCH):  # whole sets at their full resolution may not fit into memory
        images = normalise(torch.from_numpy(data.images[rows[start : start + _BATCH]]))
        parts.append(to_uint8(fade_reals(reduce_to(images, stage.resolution), stage.alpha)))
    return torch.cat(parts)


def check_data(config: ProgressiveGANConfig, data: ImageSet) -> None:
    """Raise UserError when these images cannot train these networks."""
    wanted = config.network
    if data.channels != wanted.channels:
        raise UserError(
            f"{config.data.source} has {data.channels} channels and network.channels is {wanted.channels}: "
            f"set network.channels={data.channels} or pack the data with --channels {wanted.channels}"
        )
    if data.resolution < wanted.resolution:
        raise UserError(
            f"{config.data.source} has {data.resolution} x {data.resolution} pictures, too small for "
            f"network.resolution={wanted.resolution}: set it to {data.resolution} or less"
        )
    if wanted.classes and (data.labels is None or data.num_classes != wanted.classes):
        has = "no labels" if data.labels is None else f"{data.num_classes} classes"
        raise UserError(f"network.classes is {wanted.classes} and {config.data.source} has {has}")
    if len(data) < 2:
        raise UserError(f"{config.data.source} has {len(data)} image: a GAN needs at least 2 to tell apart")
