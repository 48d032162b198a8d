"""The real images of a run: checks against the networks, images at a stage, reference images of an evaluation."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gans.classes import Classes
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.growth import Stage
from gans.progressive.network import fade_reals
from gans.progressive.sampler import Sampler
from lab.data.batches import normalise, reduce_to
from lab.data.images import ImageSet
from lab.data.order import indices
from lab.data.packed_once import open_or_pack
from lab.errors import UserError
from lab.plots.images import to_uint8

_BATCH = 256
LEAST = 16  # images; metrics of fewer are not meaningful
_DEFAULT = 2000  # images


def open_data(config: ProgressiveGANConfig, source: str = "") -> ImageSet:
    """The set `source`, by default the run's own; a folder or zip is packed for its networks. Raises UserError."""
    network = config.network
    if network.channels not in (1, 3):
        raise UserError(f"network.channels is {network.channels}: images have 1 (grey) or 3 (colour)")
    return open_or_pack(
        source or config.data.source,
        resolution=network.resolution,
        channels=network.channels,
        labelled=network.classes > 0,
    )


def classes_of(config: ProgressiveGANConfig, data: ImageSet) -> Classes:
    """The classes of a conditional run's data, with their shares; none for an unconditional run."""
    if not config.network.classes or data.labels is None:
        return Classes()
    return Classes.of_labels(data.classes, data.labels)


def rows_of(data: ImageSet, count: int, seed: int = 0) -> np.ndarray:
    """Rows int64 [N] of at most `count` images.

    A random choice that depends on the seed, since packed sets are often sorted by class.
    """
    return indices(len(data), seed, 0, min(count, len(data)))


def reals_at(data: ImageSet, count: int, stage: Stage, seed: int = 0) -> Tensor:
    """uint8 [N, C, R, R]: the images of `rows_of` as the discriminator sees them at a stage."""
    rows = rows_of(data, count, seed)
    parts = []
    for start in range(0, len(rows), _BATCH):  # whole sets at their full resolution may not fit into memory
        images = normalise(torch.from_numpy(data.images[rows[start : start + _BATCH]]))
        parts.append(to_uint8(fade_reals(reduce_to(images, stage.resolution), stage.alpha)))
    return torch.cat(parts)


def labels_as(classes: Classes, data: ImageSet, count: int) -> Tensor | None:
    """int64 [count]: classes of `count` samples to compare with the first `count` images of `rows_of`.

    They are the labels of these images, repeated where there are fewer: metrics compare whole sets, so other shares
    of the classes would count as errors of the generator. None where the images have no labels of these classes.
    """
    if not classes or data.labels is None or data.classes != classes.names:
        return None
    labels = torch.from_numpy(data.labels[rows_of(data, count)])
    if (classes.shares[labels] == 0.0).any():  # another set has a class that the run's own lacks
        return None
    return labels[torch.arange(count) % len(labels)]


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
            f"{config.data.source} has {data.resolution} x {data.resolution} images, too small for "
            f"network.resolution={wanted.resolution}: set it to {data.resolution} or less"
        )
    if wanted.classes and (data.labels is None or data.num_classes != wanted.classes):
        has = "no labels" if data.labels is None else f"{data.num_classes} classes"
        raise UserError(f"network.classes is {wanted.classes} and {config.data.source} has {has}")
    if len(data) < 2:
        raise UserError(f"{config.data.source} has {len(data)} image: a GAN needs at least 2")


@dataclass(frozen=True)
class ReferenceImages:
    """Real images to compare samples with, uint8 [N, C, R, R].

    others: real images whose metrics are the floor; None where two halves of `real` are compared. floor: a description
    of them. labels: int64 [N], classes of the samples, those of `real`; None where these have none of the run's.
    """

    real: Tensor
    others: Tensor | None
    floor: str
    labels: Tensor | None


def reference_images(sampler: Sampler, against: str, count: int | None) -> ReferenceImages:
    """`count` images, by default up to 2000, of the set `against`, or of the run's own data where that is "".

    The floor compares as many others: the run's own where `against` is another set, else images of the same set where
    it has twice as many. Raises UserError for a set that does not fit the run or has too few images.
    """
    source = sampler.config.data.source
    test, stage = open_data(sampler.config, against), sampler.stage._replace(alpha=1.0)
    _check(sampler, test, against or source)
    own = _other_set(sampler.config, test) if against else None
    if own is not None:
        most, smaller = min((len(test), against), (len(own), source))
        count = _checked(count, most, most, smaller)
        floor = f"as many images of the run's own data ({source})"
        labels = labels_as(sampler.classes, test, count)
        return ReferenceImages(reals_at(test, count, stage), reals_at(own, count, stage), floor, labels)
    count = _checked(count, max(len(test) // 2, LEAST), len(test), against or source)
    images, labels = reals_at(test, 2 * count, stage), labels_as(sampler.classes, test, count)
    if len(images) == 2 * count:
        return ReferenceImages(images[:count], images[count:], "as many other real images", labels)
    return ReferenceImages(images[:count], None, f"{count // 2:,} of the real images against the other half", labels)


def _checked(count: int | None, default: int, most: int, source: str) -> int:
    if (count or LEAST) > most:
        raise UserError(f"{source} has {most:,} images, fewer than the {count or LEAST:,} samples to compare")
    return min(_DEFAULT, default) if count is None else count


def _check(sampler: Sampler, data: ImageSet, source: str) -> None:
    wanted, resolution = sampler.config.network, sampler.stage.resolution
    if data.channels != wanted.channels:
        raise UserError(f"{source} has {data.channels} channels and this run's images have {wanted.channels}")
    if data.resolution < resolution:
        raise UserError(
            f"{source} has {data.resolution} x {data.resolution} images and this run generates {resolution}"
        )


def _other_set(config: ProgressiveGANConfig, test: ImageSet) -> ImageSet | None:
    """The run's own data; None if it is missing or the same as `test`."""
    try:
        own = open_data(config)
    except UserError:
        return None
    return None if own.fingerprint == test.fingerprint else own
