"""Embedded ICC profiles: the numbers of an image mean the colours of its profile, and are converted to sRGB."""

from functools import lru_cache
from typing import Any

import numpy as np

CONVERTED = "had a colour profile other than sRGB and were converted to sRGB"
UNREADABLE = "have a colour profile that cannot be read; their numbers were taken as sRGB"
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_TOLERANCE = 3  # of 255; profiles of sRGB round the curve differently


def to_srgb(image: Any) -> tuple[Any, str | None]:
    """A PIL image with the colours of its embedded profile as sRGB, and a remark if there is one to make.

    An image without a profile, or with one of sRGB, keeps its numbers.
    """
    from PIL import Image

    profile = image.info.get("icc_profile")
    if not profile:
        return image, None
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    opaque = image if alpha is None else image.convert("L" if image.mode == "LA" else "RGB")
    if opaque.mode not in _SPACES:
        return image, UNREADABLE
    try:
        transform = _transform(bytes(profile), opaque.mode)
        if transform is None:
            return image, None
        converted = transform.apply(opaque)
    except MemoryError:
        raise
    except Exception:  # littleCMS and PIL raise several types for damaged profiles
        return image, UNREADABLE
    if opaque.mode == "L":
        converted = converted.getchannel("G")  # grey stays grey: its three channels are equal
    if alpha is not None:
        converted = Image.merge(converted.mode + "A", (*converted.split(), alpha))
    return converted, CONVERTED


@lru_cache(maxsize=16)  # per process: the images of a set share few profiles
def _transform(profile: bytes, mode: str) -> Any:
    """The transform of a mode to sRGB, None where it changes nothing. Raises ValueError for a profile of other colours.

    Relative colorimetric, as viewers convert photographs.
    """
    import io

    from PIL import Image, ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != _SPACES[mode]:
        raise ValueError("the profile is of other channels")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", intent)
    if mode == "CMYK":
        return transform
    levels = np.arange(0, 256, 51, dtype=np.uint8) if mode == "RGB" else np.arange(256, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3) if mode == "RGB" else levels[None]
    found = np.asarray(transform.apply(Image.fromarray(grid))).astype(int)
    expected = grid if mode == "RGB" else grid[..., None]
    return None if np.abs(found - expected).max() <= _TOLERANCE else transform
