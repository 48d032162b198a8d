"""Image files as a viewer shows them: the first frame, upright, in sRGB, on white, 8 bits per channel."""

import io
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lab.data import colour_profiles
from lab.data.image_formats import format_of

MOST_PIXELS = 2**27
"""Largest image, 134 million pixels: a file of some kilobytes can declare an image that fills the memory."""
MOST_BYTES = 2**29
"""Largest image file."""
_SIGNATURE = 8  # bytes
_MOST_CHUNKS = 2**17  # of a PNG, each some steps of Python: encoders write 8 KiB and more into one

SEVERAL_FRAMES = "hold several frames, of which the first was stored"
UNREADABLE_EXIF = "have EXIF data that cannot be read; they were stored as they lie in the file, not turned"
DAMAGED_METADATA = "have damaged metadata, which was ignored, and sound pixels"


class Opened(NamedTuple):
    """A PIL image of mode L or RGB, and remarks on it: predicates of a sentence about images."""

    image: Any
    remarks: tuple[str, ...] = ()


def open_image_file(content: bytes, name: str) -> Opened:
    """Decode a file. Raises ValueError for an unknown format or one too large, and the decoder's own errors."""
    from PIL import Image

    found = format_of(content, name)
    if found is None:
        raise ValueError("unknown image format")
    if found == "PNG":
        for _ in _chunks(content):  # PIL keeps each of its chunks: of millions of empty ones, minutes and gigabytes
            pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes that are checked below, and about metadata
        remarks = []
        try:
            image = _decoded(content, found)
        except (OSError, SyntaxError, ValueError):
            pixels_alone = _without_metadata(content) if found == "PNG" else content
            if pixels_alone == content:
                raise
            image = _decoded(pixels_alone, found)
            remarks.append(DAMAGED_METADATA)
        if _has_frames(image):
            remarks.append(SEVERAL_FRAMES)
        image, exif_is_readable = _upright(image)
        if not exif_is_readable:
            remarks.append(UNREADABLE_EXIF)
        clear = _clear_pixels(image)
        image = _eight_bits(image)
        if clear is not None:
            image.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
        elif "transparency" in image.info and image.mode in ("L", "P", "RGB"):
            image = image.convert("LA" if image.mode == "L" else "RGBA")
        elif image.mode in ("P", "PA"):
            image = image.convert("RGBA" if image.mode == "PA" else "RGB")
        image, remark = colour_profiles.to_srgb(image)
        return Opened(_on_white(image), tuple(remarks if remark is None else [*remarks, remark]))


def _decoded(content: bytes, found: str) -> Any:
    from PIL import Image

    try:
        image: Any = Image.open(io.BytesIO(content), formats=[found])
    except Image.DecompressionBombError:
        raise ValueError(f"it has more than {MOST_PIXELS:,} pixels") from None
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"it has {image.width} x {image.height} pixels, more than {MOST_PIXELS:,}")
    # The bit depth of a PNG is known before its pixels are loaded; its transparent value counts in that depth.
    rawmode = image.tile[0].args if found == "PNG" and image.tile else None
    image.load()
    transparency = image.info.get("transparency")
    if isinstance(transparency, int) and rawmode in ("L;2", "L;4"):
        image.info["transparency"] = transparency * (85 if rawmode == "L;2" else 17)
    if isinstance(transparency, tuple) and rawmode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in transparency)  # as PIL's decoder does with pixels
    if found == "PPM" and image.mode == "I":  # PIL scales every maximum above 255 to 16 bits
        image = Image.fromarray(np.asarray(image).astype(np.uint16))
    return image


def _without_metadata(content: bytes) -> bytes:
    """A PNG of its critical chunks alone (size, palette, pixels), which have a capital as their first letter.

    PIL refuses a file for the checksum or the length of any chunk.
    """
    view = memoryview(content)
    kept = [view[start:end] for kind, start, end in _chunks(content) if kind[:1].isupper()]
    return b"".join([content[:_SIGNATURE], *kept])


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the chunks of a PNG, to its end or to what is no chunk. Raises ValueError for too many."""
    place = _SIGNATURE
    for _ in range(_MOST_CHUNKS):
        kind = content[place + 4 : place + 8]
        if place + 12 > len(content) or not kind.isalpha():
            return
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        yield kind, place, end
        if kind == b"IEND":
            return
        place = end
    raise ValueError(f"it has more than {_MOST_CHUNKS:,} chunks")


def _has_frames(image: Any) -> bool:
    # Not MPO: its further images are previews and depth maps of one photograph.
    return image.format in ("GIF", "TIFF", "PNG", "WEBP", "AVIF") and bool(getattr(image, "is_animated", False))


def _upright(image: Any) -> tuple[Any, bool]:
    """The image turned by its EXIF orientation, and whether that could be read."""
    from PIL import ImageOps

    try:
        ImageOps.exif_transpose(image, in_place=True)
        return image, True
    except MemoryError:
        raise
    except Exception:  # any error of a parser of EXIF or XMP; the pixels are sound
        return image, False


def _clear_pixels(image: Any) -> np.ndarray | None:
    """Whether each pixel of a 16-bit image is the transparent value; None without one. PIL ignores that value."""
    value = image.info.get("transparency")
    if not image.mode.startswith("I;16") or not isinstance(value, int):
        return None
    return np.asarray(image) == value


def _eight_bits(image: Any) -> Any:
    """16 bits of grey scaled to 8. Raises ValueError for 32 bits per pixel."""
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError("32 bits per pixel are not supported")
    if image.mode == "1":
        # The transparent value of one bit is 0 or 255 already.
        return image.convert("L") if "transparency" not in image.info else _kept_info(image.convert("L"), image)
    if not image.mode.startswith("I;16"):
        return image
    # PIL's own conversion clips values above 255.
    scaled = Image.fromarray(np.rint(np.asarray(image) / 257.0).astype(np.uint8))
    return _kept_info(scaled, image, ("icc_profile",))


def _kept_info(image: Any, of: Any, keys: tuple[str, ...] = ("icc_profile", "transparency")) -> Any:
    image.info = {key: of.info[key] for key in keys if key in of.info}
    return image


def _on_white(image: Any) -> Any:
    from PIL import Image

    if image.mode in ("RGBA", "LA", "La", "RGBa"):
        grey = image.mode in ("LA", "La")
        if image.mode == "La":
            image = image.convert("LA")
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L" if grey else "RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
