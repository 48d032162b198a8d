"""Decoding one image: from the bytes of a file to a square of the given size."""

import io
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from lab.errors import UserError

Fit = Literal["crop", "pad", "stretch"]
Read = Callable[[str], bytes | np.ndarray]


class ImageInfo(NamedTuple):
    """Size and colour of an image; `has_colour` is true if its format has colour, even if all pixels are grey."""

    width: int
    height: int
    has_colour: bool


def inspect_image(read: Read, name: str) -> ImageInfo | str:
    """Size and colour of an image, or the reason why it cannot be decoded."""
    image = _decode(read, name)
    return image if isinstance(image, str) else ImageInfo(image.width, image.height, image.mode == "RGB")


def square_pixels(read: Read, name: str, side: int, channels: int, fit: Fit) -> np.ndarray:
    """uint8 [channels, side, side]. Raises UserError when the image can no longer be read."""
    image = _decode(read, name)
    if isinstance(image, str):
        raise UserError(f"{name} changed while it was packed ({image}); pack again")
    pixels = np.asarray(_square(image.convert("L" if channels == 1 else "RGB"), side, fit))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _decode(read: Read, name: str) -> Any:
    """A PIL image of mode L or RGB, upright, on white; or the reason why it cannot be decoded."""
    from PIL import UnidentifiedImageError

    try:
        return _opened(read(name))
    except UnidentifiedImageError:
        return "unknown image format"
    except MemoryError:  # not a fault of the image
        raise
    except Exception as error:  # decoders raise many types of errors for damaged files
        return (str(error) or type(error).__name__).splitlines()[0]


def _opened(content: bytes | np.ndarray) -> Any:
    from PIL import Image, ImageOps

    if isinstance(content, np.ndarray):
        image = Image.fromarray(content[:, :, 0] if content.ndim == 3 and content.shape[2] == 1 else content)
    else:
        image = Image.open(io.BytesIO(content))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        # PIL's own conversion clips values above 255.
        image = Image.fromarray(np.rint(np.asarray(image) / 257.0).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per pixel are not supported")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        grey = image.mode in ("L", "LA", "La")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L" if grey else "RGB")
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _square(image: Any, side: int, fit: Fit) -> Any:
    from PIL import Image

    width, height = image.size
    size = (side, side)
    if fit == "crop":
        width = height = min(image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    elif fit == "pad":
        factor = min(1.0, side / max(image.size))
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if image.size != size:
        is_whole = width % size[0] == 0 and height % size[1] == 0
        factors = width // size[0], height // size[1]
        # Not BOX: it computes the same but rounds twice.
        image = image.reduce(factors) if is_whole else image.resize(size, Image.Resampling.LANCZOS)
    if size == (side, side):
        return image
    square = Image.new(image.mode, (side, side))
    square.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square
