"""Batches on the device: gathered as uint8 by a thread that looks one batch ahead, normalised and reduced there."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor

from lab import rng
from lab.data.images import ImageSet
from lab.data.order import indices

_Batch = tuple[Tensor, Tensor | None]


class Batches:
    """uint8 batches of a set in the order of `lab.data.order`, each a pure function of its first item's number.

    While one batch is trained on, a thread gathers the next; on CUDA it is pinned and copied without waiting.
    """

    def __init__(self, images: ImageSet, device: torch.device, seed: int) -> None:
        self._set, self._device, self._seed = images, device, seed
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[int, int, Future[_Batch]] | None = None

    def at(self, start: int, count: int, step: int | None = None) -> _Batch:
        """Items start to start + count: images uint8 [count, C, H, W] and labels int64 [count], if any.

        step: from this start to the one that will likely be asked for next, `count` unless given.
        """
        if self._ahead is not None and self._ahead[:2] == (start, count):
            images, labels = self._ahead[2].result()
        else:
            images, labels = self._gather(start, count)
        following = start + (count if step is None else step)
        self._ahead = (following, count, self._pool.submit(self._gather, following, count))
        if self._device.type == "cpu":
            return images, labels
        moved = None if labels is None else labels.to(self._device, non_blocking=True)
        return images.to(self._device, non_blocking=True), moved

    def close(self) -> None:
        """End the thread; more than once does no harm."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _gather(self, start: int, count: int) -> _Batch:
        rows = indices(len(self._set), self._seed, start, count)
        images = torch.from_numpy(self._set.images[rows])
        labels = None if self._set.labels is None else torch.from_numpy(self._set.labels[rows])
        if self._device.type == "cuda":
            images, labels = images.pin_memory(), None if labels is None else labels.pin_memory()
        return images, labels


def normalise(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.to(torch.float32) / 127.5 - 1.0


def reduce_to(images: Tensor, resolution: int) -> Tensor:
    """[B, C, H, H] -> [B, C, resolution, resolution], means of squares; `resolution` divides H."""
    factor = images.shape[-1] // resolution
    return F.avg_pool2d(images, factor) if factor > 1 else images


def random_flip(images: Tensor, seed: int, start: int) -> Tensor:
    """Mirror about half of the images left to right; item i by a draw of its own number, start + i."""
    numbers = torch.arange(start, start + len(images), device=images.device)
    mirrored = rng.uniform(seed, int(rng.Stream.FLIP), numbers) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)
