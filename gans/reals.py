"""The real pictures of a run: whether they suit its networks, and what they look like at a stage."""

import torch
from torch import Tensor

from gans.config import ProgressiveGANConfig
from gans.network import fade_reals
from gans.pictures import to_uint8
from gans.schedule import Stage
from lab.data.batches import normalise, reduce_to
from lab.data.images import ImageSet
from lab.errors import UserError


def reals_at(data: ImageSet, count: int, stage: Stage) -> Tensor:
    """uint8 [N, C, R, R]: the first `count` pictures as the critic sees them at a stage."""
    images = torch.from_numpy(data.images[:count].copy())
    return to_uint8(fade_reals(reduce_to(normalise(images), stage.resolution), stage.alpha))


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
