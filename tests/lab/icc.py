"""ICC profiles made by hand: three primaries, or grey, with a gamma curve or the curve of sRGB."""

import struct

import numpy as np

D50 = (0.96422, 1.0, 0.82521)
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
"""Red, green and blue as XYZ under D50, from the profile that Apple publishes."""
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def profile(space: bytes, primaries: tuple[tuple[float, float, float], ...] = (), gamma: float | None = None) -> bytes:
    """An ICC profile (ICC.1:2001-04) of `space`, b"RGB " or b"GRAY"; without a gamma the curve is that of sRGB."""
    curve = _curve(gamma)
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78), b"wtpt": _xyz(D50)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    for letter, primary in zip(b"rgb", primaries, strict=False):
        tags[bytes([letter]) + b"XYZ"] = _xyz(primary)
        tags[bytes([letter]) + b"TRC"] = curve
    return _file(b"mntr", space, b"XYZ ", tags)


def ink_profile() -> bytes:
    """A CMYK profile of a printer whose black ink lowers the lightness of Lab linearly; other inks do nothing."""
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    curve = bytes(range(256))
    nodes = b"".join(bytes([0 if black else 255, 128, 128]) for _ in range(8) for black in (0, 1))
    lookup = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + 4 * curve + nodes + 3 * curve
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78), b"wtpt": _xyz(D50)}
    return _file(b"prtr", b"CMYK", b"Lab ", tags | {b"A2B0": lookup})


def _file(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", place + len(body))
    header[8:12] = b"\x02\x10\0\0"
    header[12:24] = kind + space + connection
    header[36:40] = b"acsp"
    header[68:80] = b"".join(struct.pack(">i", round(value * 65536)) for value in D50)
    return bytes(header) + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _curve(gamma: float | None) -> bytes:
    if gamma is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    x = np.linspace(0, 1, 1024)
    y = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + (y * 65535).round().astype(">u2").tobytes()
