"""Batches on the device: a thread gathers the next batch as uint8; normalisation and resizing run on the device."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab import rng
from lab.data.order import indices

_Batch = tuple[Tensor, Tensor | None]
_SMALL_BYTES = 2**16  # gathering fewer bytes takes less time than waking a thread


class ArraySet(Protocol):
    """Inputs [N, ...], in memory or mapped, and targets [N, ...] or None."""

    @property
    def inputs(self) -> np.ndarray: ...

    @property
    def targets(self) -> np.ndarray | None: ...

    def __len__(self) -> int: ...


class Batches:
    """Batches of a set in the order of `lab.data.order`, each a pure function of its start.

    A thread gathers the next batch during training; on CUDA it is pinned and copied asynchronously. `item_numbers`:
    values per input.
    """

    def __init__(self, data: ArraySet, device: torch.device, seed: int) -> None:
        self._set, self._device, self._seed = data, device, seed
        self._item_bytes = int(data.inputs[:1].nbytes)
        self.item_numbers = int(data.inputs[:1].size)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[int, int, Future[_Batch]] | None = None

    def at(self, start: int, count: int, step: int | None = None) -> _Batch:
        """Samples start to start + count: inputs [count, ...], such as uint8 images, and targets [count, ...] or None.

        step: distance to the start of the next batch, by default `count`.
        """
        if self._ahead is not None and self._ahead[:2] == (start, count):
            inputs, targets = self._ahead[2].result()
        else:
            inputs, targets = self._gather(start, count)
        if count * self._item_bytes > _SMALL_BYTES:
            following = start + (count if step is None else step)
            self._ahead = (following, count, self._pool.submit(self._gather, following, count))
        if self._device.type == "cpu":
            return inputs, targets
        moved = None if targets is None else targets.to(self._device, non_blocking=True)
        return inputs.to(self._device, non_blocking=True), moved

    def items(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """The item of the set and the epoch of samples start to start + count, int64 [count] each, on the device."""
        items = torch.from_numpy(indices(len(self._set), self._seed, start, count))
        epochs = torch.arange(start, start + count) // len(self._set)
        return items.to(self._device), epochs.to(self._device)

    def close(self) -> None:
        """End the thread. May be called again."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _gather(self, start: int, count: int) -> _Batch:
        rows = indices(len(self._set), self._seed, start, count)
        inputs = torch.from_numpy(self._set.inputs[rows])
        targets = None if self._set.targets is None else torch.from_numpy(self._set.targets[rows])
        if self._device.type == "cuda":
            inputs, targets = inputs.pin_memory(), None if targets is None else targets.pin_memory()
        return inputs, targets


def normalise(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.to(torch.float32) / 127.5 - 1.0


def reduce_to(images: Tensor, resolution: int) -> Tensor:
    """[B, C, H, H] -> [B, C, resolution, resolution] by average pooling; `resolution` divides H."""
    factor = images.shape[-1] // resolution
    return F.avg_pool2d(images, factor) if factor > 1 else images


def alternating_flips(seed: int, items: Tensor, epochs: Tensor) -> Tensor:
    """Which images are mirrored, bool [B], for items and epochs int64 [B]: about half of the items at epoch 0, and each
    item alternates from then on (Jordan 2024, section 3.6), so that two epochs show every item both ways.
    """
    mirrored_first = rng.uniform(seed, int(rng.Stream.FLIP), items) < 0.5
    return mirrored_first ^ (epochs % 2 == 1)


def mirror_some(images: Tensor, mirrored: Tensor) -> Tensor:
    """Images [B, C, H, W], those that are `mirrored`, bool [B], left to right."""
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def random_flip(images: Tensor, seed: int, start: int) -> Tensor:
    """Mirror about half of the images left to right; the draw of image i depends only on its number, start + i."""
    numbers = torch.arange(start, start + len(images), device=images.device)
    return mirror_some(images, rng.uniform(seed, int(rng.Stream.FLIP), numbers) < 0.5)
