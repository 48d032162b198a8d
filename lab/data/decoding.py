"""Decoding one image: from the bytes of a file to a square of the given size."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from lab.data.image_files import Opened, open_image_file
from lab.errors import UserError

Fit = Literal["crop", "pad", "stretch"]
Read = Callable[[str], bytes | np.ndarray]


class ImageInfo(NamedTuple):
    """Size and colour of an image; `has_colour` is true if its format has colour, even if all pixels are grey.

    remarks: see `lab.data.image_files.Opened`.
    """

    width: int
    height: int
    has_colour: bool
    remarks: tuple[str, ...] = ()


def inspect_image(read: Read, name: str) -> ImageInfo | str:
    """Size and colour of an image, or the reason why it cannot be decoded."""
    found = _decode(read, name)
    if isinstance(found, str):
        return found
    image, remarks = found
    return ImageInfo(image.width, image.height, image.mode == "RGB", remarks)


def square_pixels(read: Read, name: str, side: int, channels: int, fit: Fit) -> np.ndarray:
    """uint8 [channels, side, side]. Raises UserError when the image can no longer be read."""
    found = _decode(read, name)
    if isinstance(found, str):
        raise UserError(f"{name} changed while it was packed ({found}); pack again")
    pixels = np.asarray(_square(found.image.convert("L" if channels == 1 else "RGB"), side, fit))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _decode(read: Read, name: str) -> Opened | str:
    """An image, or the reason why it cannot be decoded."""
    from PIL import UnidentifiedImageError

    try:
        content = read(name)
        return _of_array(content) if isinstance(content, np.ndarray) else open_image_file(content, name)
    except UnidentifiedImageError:
        return "unknown image format"
    except MemoryError:  # not a fault of the image
        raise
    except Exception as error:  # decoders raise many types of errors for damaged files
        return (str(error) or type(error).__name__).splitlines()[0]


def _of_array(pixels: np.ndarray) -> Opened:
    """[H, W], or [H, W, C] with 1, 3 or 4 channels, the fourth of which is opacity."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return Opened(image)


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
