"""A WAV file that grows while it is written, so that a player can follow it."""

import struct
from typing import BinaryIO, Self

from torch import Tensor

_UNKNOWN = 0xFFFFFFFF
_HEADER = 44


class WaveStream:
    """Writes samples as 16-bit PCM as they come. The sizes in the header are set at the end, if the file can seek."""

    def __init__(self, file: BinaryIO, rate: int) -> None:
        self._file, self._rate, self.samples = file, rate, 0
        file.write(self._header(_UNKNOWN))
        file.flush()

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self.samples / self._rate

    def write(self, wave: Tensor) -> None:
        """Append samples [T] in [-1, 1]; readers of the file see them."""
        scaled = wave.detach().cpu().float().clamp(-1.0, 1.0).mul(32767.0).round()
        self._file.write(scaled.numpy().astype("<i2").tobytes())
        self._file.flush()
        self.samples += len(wave)

    def close(self) -> None:
        """Write the sizes. The file stays open."""
        size = 2 * self.samples
        if self._file.seekable() and size < _UNKNOWN - _HEADER:
            self._file.seek(0)
            self._file.write(self._header(size))
            self._file.seek(0, 2)
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _header(self, size: int) -> bytes:
        whole = min(size + _HEADER - 8, _UNKNOWN)
        form = struct.pack(
            "<4sI4s4sIHHIIHH", b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, self._rate, 2 * self._rate, 2, 16
        )
        return form + struct.pack("<4sI", b"data", size)
