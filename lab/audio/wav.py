"""WAV files: read with one channel, written with 16 bits."""

import io
import struct
import wave as wave_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lab.audio.resample import resample
from lab.errors import UserError
from lab.files.durable import replacing
from lab.files.plain import read_regular
from lab.terminal.text import one_line

LARGEST = 2**30
"""Largest file in bytes that is read."""
SILENT = 10.0 ** (-60 / 20)
"""Peak below which a recording counts as silent: 60 dB below full scale."""
SILENCE = "it is silent"
"""The remark on such a recording."""
_RATES = (1_000, 384_000)
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MAGIC = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"FORM": "AIFF", b"RF64": "RF64"}
_CONVERT = "convert it: ffmpeg -i FILE -ac 1 -c:a pcm_s16le OUT.wav"


class Recording(NamedTuple):
    """samples: float32 [T] in [-1, 1], one channel. rate: in Hz. remarks: what a person should know, one line each."""

    samples: Tensor
    rate: int
    remarks: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Tensor:
        """The samples at another rate."""
        return resample(self.samples, self.rate, rate)


def read_wav(path: Path) -> Recording:
    """Read a WAV file of PCM (8, 16, 24 or 32 bits) or float (32 or 64 bits) samples; channels are averaged.

    Remarks name channels that were averaged, silence, clipping, samples beyond full scale and a file that ends early.
    Raises UserError, one line, for anything else.
    """
    try:
        content = read_regular(path, LARGEST)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    return parse_wav(content, str(path))


def parse_wav(content: bytes, name: str) -> Recording:
    """As `read_wav`, of the bytes of a file; `name` stands in messages."""
    name = one_line(name)
    try:
        fmt, data, ends_early = _chunks(content)
        samples, rate = _decoded(fmt, data)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None
    if not len(samples):
        raise UserError(f"{name}: it holds no samples")
    remarks = ["it ends before its header says; the rest is used"] if ends_early else []
    if not np.isfinite(samples).all():
        raise UserError(f"{name}: samples are NaN or infinite; export it again")
    if samples.shape[1] > 1:
        remarks.append(f"{samples.shape[1]} channels were averaged")
    mono = samples.mean(1, dtype=np.float64).astype(np.float32)
    loudest = float(np.abs(samples).max())
    if loudest > 1.0 + 1e-6:
        remarks.append(f"samples reach {loudest:.3g} times full scale; they were divided by it")
        mono /= loudest
    share = _clipped_share(samples)
    if share > 1e-3:
        remarks.append(f"{share:.1%} of its samples are clipped")
    if float(np.abs(mono).max()) < SILENT:
        remarks.append(SILENCE)
    return Recording(torch.from_numpy(mono), rate, tuple(remarks))


def wav_bytes(samples: Tensor, rate: int) -> bytes:
    """Samples [T] in [-1, 1], clipped beyond, as a WAV file of 16-bit PCM."""
    scaled = samples.detach().cpu().float().clamp(-1.0, 1.0).mul(32767.0).round()
    buffer = io.BytesIO()
    with wave_module.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(scaled.numpy().astype("<i2").tobytes())
    return buffer.getvalue()


def write_wav(path: Path, samples: Tensor, rate: int) -> None:
    """Write samples [T] as 16-bit PCM, atomically; missing folders are made. Raises UserError if that fails."""
    with replacing(path) as temporary:
        temporary.write_bytes(wav_bytes(samples, rate))


def _chunks(content: bytes) -> tuple[bytes, bytes, bool]:
    """The chunks `fmt ` and `data`, and whether the file ends within the latter. Raises ValueError."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
        raise ValueError(f"it is {kind}, not WAV; {_CONVERT}" if kind else f"it is not a WAV file; {_CONVERT}")
    fmt, place = b"", 12
    while place + 8 <= len(content):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        body = content[place + 8 : place + 8 + size]
        if name == b"data":
            if not fmt:
                raise ValueError(f"its samples come before their format; {_CONVERT}")
            # A program that wrote to a pipe could not know the size: 0 or all ones.
            unknown = size in (0, 0xFFFFFFFF, 0x7FFFFFFF) or size >= 0xFFFFFF00
            if unknown:
                body = content[place + 8 :]
            return fmt, body, len(body) < size and not unknown
        if name == b"fmt ":
            fmt = body
        place += 8 + size + size % 2
    raise ValueError(f"its header is damaged: it has no {'samples' if fmt else 'format'}; {_CONVERT}")


def _decoded(fmt: bytes, data: bytes) -> tuple[np.ndarray, int]:
    """Samples float32 [T, channels] and the rate. Raises ValueError for a format that is not read."""
    if len(fmt) < 16:
        raise ValueError(f"its header is damaged: a format of {len(fmt)} bytes; {_CONVERT}")
    code, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", fmt[:16])
    if code == _EXTENSIBLE and len(fmt) >= 26:
        code = int.from_bytes(fmt[24:26], "little")
    if (code, bits) not in ((_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)):
        raise ValueError(f"its format ({bits} bits, code {code}) is neither PCM nor float; {_CONVERT}")
    if not 1 <= channels <= 64 or frame != channels * bits // 8:
        raise ValueError(f"its header is damaged: {channels} channels of {bits} bits in {frame} bytes; {_CONVERT}")
    if not _RATES[0] <= rate <= _RATES[1]:
        raise ValueError(f"its rate of {rate} Hz is outside {_RATES[0]:,} to {_RATES[1]:,}; {_CONVERT}")
    data = data[: len(data) // frame * frame]
    if code == _FLOAT:
        samples = np.frombuffer(data, f"<f{bits // 8}")
        # 64-bit values beyond the range become infinite, which is refused later.
        with np.errstate(over="ignore"):
            samples = samples.astype(np.float32)
    elif bits == 8:
        samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128.0) / 128.0
    elif bits == 24:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole = np.zeros((len(parts), 4), np.uint8)
        whole[:, 1:] = parts
        samples = (whole.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    else:
        samples = (np.frombuffer(data, f"<i{bits // 8}") / 2.0 ** (bits - 1)).astype(np.float32)
    return samples.reshape(-1, channels), rate


def _clipped_share(samples: np.ndarray) -> float:
    """Share of samples [T, channels] in runs of three or more at the largest absolute value, near full scale."""
    top = np.abs(samples).max()
    if top < 0.95 or len(samples) < 3:
        return 0.0
    at_top = np.abs(samples) >= top - 1e-4
    run = at_top[:-2] & at_top[1:-1] & at_top[2:]
    inside = np.zeros_like(at_top)
    for shift in range(3):
        inside[shift : len(run) + shift] |= run
    return float(inside.mean())
