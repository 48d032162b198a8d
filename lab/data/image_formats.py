"""Image formats that are read, recognised by their content: a file's name decides nothing.

Only these decoders of PIL are ever used. Others start programs (Ghostscript for PostScript) or guess.
"""

import re
from pathlib import PurePosixPath

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".tga"),
    *(".apng", ".jfif", ".jpe", ".jif", ".mpo", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Suffixes of image files: a file with one of them that cannot be decoded is damaged, not something else."""
UNREAD_SUFFIXES = (
    *(".heic", ".heif", ".jxl", ".svg", ".psd", ".eps", ".ico", ".exr", ".hdr", ".dds", ".xcf"),
    *(".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw"),
)
"""Suffixes of images whose formats are not read. Raw files of cameras hold a small TIFF that is not the photograph."""
HEAD = 64
"""Bytes at the start of a file that `format_of` needs."""

_TGA_END = b"TRUEVISION-XFILE.\0"
_STARTS = (
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("JPEG", rb"\xff\xd8\xff"),
    ("GIF", rb"GIF8[79]a"),
    ("WEBP", rb"RIFF.{4}WEBP"),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
    ("JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("AVIF", rb".{4}ftyp(?:avif|avis)"),
    # Two letters are a weak sign: the four reserved bytes and the sizes of headers that exist make it a strong one.
    ("BMP", rb"BM.{4}\0{4}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0{3}"),
    ("PPM", rb"P[1-6]\s+[#\d]"),
)
_PATTERNS = tuple((name, re.compile(start, re.DOTALL)) for name, start in _STARTS)
FORMATS = (*(name for name, _ in _STARTS), "TGA")
"""PIL's names of the formats that are read."""


def format_of(content: bytes, name: str = "") -> str | None:
    """PIL's name of the format of a file, from its bytes or the first `HEAD` of them; None for other content.

    TGA has no signature at its start: it needs the whole content with its footer, or the suffix.
    """
    for found, start in _PATTERNS:
        if start.match(content):
            return found
    is_tga = content.endswith(_TGA_END) or PurePosixPath(name).suffix.lower() == ".tga"
    return "TGA" if is_tga else None


def is_image(name: str, head: bytes) -> bool:
    """Whether a file is to be packed: by its first bytes, or by a suffix that promises an image."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        return False
    return suffix in SUFFIXES or format_of(head) is not None
