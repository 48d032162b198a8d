"""Observations of any supported Gymnasium space as a few arrays: one vector, and an array per image.

Boxes of up to two dimensions, Discrete, MultiDiscrete and MultiBinary spaces, alone or nested in Dict and Tuple, are
concatenated into the vector: numbers as they are, categories as one-hot vectors. Boxes of three dimensions, and
two-dimensional boxes of bytes, are images; they stay apart, channels first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from lab.errors import UserError

VECTOR = "vector"
MASK = "action_mask"
"""Key of a Dict observation that holds the mask of legal actions; it is no part of what the policy sees."""

Arrays = dict[str, NDArray[Any]]
"""Encoded observations by name: "vector" float32 [N, D], "image0", ... [N, C, H, W] uint8 or float32."""


@dataclass(frozen=True)
class Image:
    """An image leaf: its shape as the policy sees it, [C, H, W], its type, and the value that stands for 1."""

    name: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    scale: float


class ObservationCodec:
    """Encodes observations of one space. `vector_size` is 0 without a vector part.

    Raises UserError that names the part of the space that is not supported.
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.images: list[Image] = []
        self.has_mask = isinstance(space, spaces.Dict) and MASK in space.spaces
        self._parts: list[_Part] = []
        self._add(space, (), "the observation space")
        self.vector_size = sum(part.size for part in self._parts if part.image is None)
        self._whole = self._one_plain_vector()

    @property
    def shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and type of one encoded observation, by name."""
        found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        if self.vector_size:
            found[VECTOR] = ((self.vector_size,), np.dtype(np.float32))
        return found | {image.name: (image.shape, image.dtype) for image in self.images}

    def empty(self, *leading: int) -> Arrays:
        """Zeros for observations [*leading, ...]."""
        return {name: np.zeros((*leading, *shape), dtype) for name, (shape, dtype) in self.shapes.items()}

    @np.errstate(over="ignore", invalid="ignore")  # numbers beyond float32 become infinite, which is an error later
    def write(self, observation: Any, into: Mapping[str, NDArray[Any]], row: int) -> None:
        """Encode one observation into row `row` of each array.

        Raises UserError for one that is not of the space: numpy would repeat it, cut it or count from the end.
        """
        if self._whole:
            into[VECTOR][row] = _of_shape(observation, self._parts[0].shape)
            return
        at = 0
        for part in self._parts:
            leaf = part.of(observation)
            if part.image is not None:
                into[part.image.name][row] = part.encode(leaf)
            else:
                into[VECTOR][row, at : at + part.size] = part.encode(leaf)
                at += part.size

    @np.errstate(over="ignore", invalid="ignore")
    def write_batch(self, observations: Any, into: Mapping[str, NDArray[Any]]) -> None:
        """Encode N observations as Gymnasium's vector environments batch them into N rows; errors as `write`."""
        at = 0
        for part in self._parts:
            leaf = part.of(observations)
            if part.image is not None:
                into[part.image.name][:] = part.encode_batch(leaf)
            else:
                into[VECTOR][:, at : at + part.size] = part.encode_batch(leaf)
                at += part.size

    def _one_plain_vector(self) -> bool:
        return len(self._parts) == 1 and self._parts[0].plain and not self._parts[0].path

    def _add(self, space: spaces.Space[Any], path: tuple[Any, ...], where: str) -> None:
        if isinstance(space, spaces.Dict):
            for key, inner in space.spaces.items():
                if path or key != MASK:
                    self._add(inner, (*path, key), f"{where}, {key!r}")
        elif isinstance(space, spaces.Tuple):
            for index, inner in enumerate(space.spaces):
                self._add(inner, (*path, index), f"{where}, part {index}")
        elif isinstance(space, spaces.Box):
            self._add_box(space, path, where)
        elif isinstance(space, spaces.Discrete):
            self._parts.append(_Part(path, (), int(space.n), *_one_hot([int(space.n)], int(space.start), ())))
        elif isinstance(space, spaces.MultiDiscrete):
            sizes = [int(n) for n in np.ravel(space.nvec)]
            starts = np.ravel(np.asarray(getattr(space, "start", np.zeros(len(sizes), np.int64))))
            shape = space.nvec.shape
            self._parts.append(_Part(path, shape, sum(sizes), *_one_hot(sizes, starts, shape)))
        elif isinstance(space, spaces.MultiBinary):
            self._add_numbers(space.shape, path)
        else:
            raise UserError(
                f"{where} is a {type(space).__name__}, which is not supported; supported are Box, Discrete, "
                "MultiDiscrete, MultiBinary, and Dict and Tuple of these"
            )

    def _add_box(self, box: spaces.Box, path: tuple[Any, ...], where: str) -> None:
        if box.dtype is None or box.dtype.kind not in "fiub":
            raise UserError(f"{where} is a Box of {box.dtype}, which is not supported")
        dimensions = len(box.shape)
        if dimensions == 3 or (dimensions == 2 and box.dtype == np.uint8):
            image, encode, encode_batch = _image(box, f"image{len(self.images)}")
            self.images.append(image)
            self._parts.append(_Part(path, box.shape, 0, encode, encode_batch, image=image))
        elif dimensions > 3:
            raise UserError(f"{where} is a Box of {dimensions} dimensions; up to three are supported")
        else:
            self._add_numbers(box.shape, path)

    def _add_numbers(self, shape: tuple[int, ...], path: tuple[Any, ...]) -> None:
        def encode(value: Any) -> NDArray[Any]:
            return _of_shape(value, shape).ravel()

        def encode_batch(values: Any) -> NDArray[Any]:
            values = _batch_of_shape(values, shape)
            return values.reshape(len(values), -1)

        plain = len(shape) == 1
        self._parts.append(_Part(path, shape, int(np.prod(shape)), encode, encode_batch, plain=plain))


@dataclass(frozen=True)
class _Part:
    """A leaf of the space: where it lies, its shape, its size in the vector, and how one or N values are encoded."""

    path: tuple[Any, ...]
    shape: tuple[int, ...]
    size: int
    encode: Callable[[Any], Any]
    encode_batch: Callable[[Any], Any]
    image: Image | None = None
    plain: bool = False

    def of(self, observation: Any) -> Any:
        for key in self.path:
            observation = observation[key]
        return observation


def _of_shape(value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The value as an array, if it has the shape."""
    if getattr(value, "shape", None) != shape:
        value = np.asarray(value)
        if value.shape != shape or value.dtype == object:
            raise UserError(_mismatch(value, shape))
    return value


def _batch_of_shape(values: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.asarray(values)
    if values.shape[1:] != shape or values.dtype == object:
        raise UserError(_mismatch(values, (len(values) if values.ndim else 0, *shape)))
    return values


def _mismatch(value: NDArray[Any], shape: tuple[int, ...]) -> str:
    if value.dtype == object:
        kind = type(value.item()).__name__ if value.ndim == 0 else "sequence of unequal parts"
        return f"an observation is a {kind}, and its space says numbers of shape {list(shape)}"
    return f"an observation has shape {list(value.shape)}, and its space says {list(shape)}"


def _one_hot(sizes: list[int], start: Any, shape: tuple[int, ...]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Encoders of categories, each counted from its start, as concatenated one-hot vectors."""
    offsets = np.cumsum([0, *sizes[:-1]])
    counts, total = np.asarray(sizes), sum(sizes)

    def batch(values: Any) -> NDArray[np.float32]:
        values = _batch_of_shape(values, shape)
        numbers = values.reshape(len(values), -1).astype(np.int64) - start
        if (numbers < 0).any() or (numbers >= counts).any():
            raise UserError(f"an observation of categories is {values.tolist()}, outside its space")
        encoded = np.zeros((len(values), total), np.float32)
        np.put_along_axis(encoded, numbers + offsets, 1.0, axis=1)
        return encoded

    return (lambda value: batch(np.asarray(value)[None])[0]), batch


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether the channels of three dimensions are the last, not the first.

    Where the other two are equal, as on a square board with many planes, it is that; else the smaller of the two.
    """
    first, middle, last = shape
    if (first == middle) != (middle == last):
        return first == middle
    return last <= first


def _image(box: spaces.Box, name: str) -> tuple[Image, Callable[[Any], Any], Callable[[Any], Any]]:
    """The image leaf of a box [H, W], [H, W, C] or [C, H, W], as `channels_last` has it."""
    shape = box.shape
    dtype = np.dtype(np.uint8) if box.dtype in (np.uint8, np.bool_) else np.dtype(np.float32)
    high = float(np.max(box.high))
    # Bytes are divided by 255; flags and numbers are left alone.
    scale = 255.0 if dtype == np.uint8 and high > 1.0 else 1.0
    channels_first: tuple[int, ...] = (0, 1, 2)
    if len(shape) == 2:
        size = (1, *shape)
    elif channels_last(shape):
        channels_first, size = (2, 0, 1), (shape[2], shape[0], shape[1])
    else:
        size = (shape[0], shape[1], shape[2])
    batched = (0, *(axis + 1 for axis in channels_first))

    def checked(pixels: NDArray[Any]) -> NDArray[Any]:
        if dtype == np.uint8 and pixels.dtype not in (np.uint8, np.bool_):  # numpy would cut fractions off
            raise UserError(f"an image observation is of {pixels.dtype}, and its space says {box.dtype}")
        return pixels

    def encode(value: Any) -> NDArray[Any]:
        pixels = checked(_of_shape(value, shape))
        return pixels[None] if len(shape) == 2 else pixels.transpose(channels_first)

    def encode_batch(values: Any) -> NDArray[Any]:
        pixels = checked(_batch_of_shape(values, shape))
        return pixels[:, None] if len(shape) == 2 else pixels.transpose(batched)

    return Image(name, size, dtype, scale), encode, encode_batch
