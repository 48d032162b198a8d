"""Log-mel spectrograms as square grey images of 8 bits, and back."""

import math
from pathlib import Path
from typing import Self

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from lab.audio.mel import FLOOR, MelConfig
from lab.config.sections import Config
from lab.errors import UserError
from lab.files.durable import write_durably
from lab.files.plain import parse_json, read_regular

PARAMETERS = "spectrogram.json"
"""Name of the file beside the images that holds their `PictureConfig`."""
DYNAMIC_RANGE_DB = 80.0
_LARGEST_PARAMETERS = 2**16
_MULTIPLE = 4  # an FFT of at least four hops: fewer leave Griffin-Lim too little overlap


class PictureConfig(Config):
    """What the pixels of a spectrogram image mean: its spectrogram, and the values of black and white."""

    mel: MelConfig = Field(description="The spectrogram; its bands are the rows, the lowest at the bottom.")
    frames: int = Field(ge=1, le=2**16, description="Frames, the columns.")
    black: float = Field(description="Log-mel value of pixel 0, and of all below.")
    white: float = Field(description="Log-mel value of pixel 255, and of all above.")

    @model_validator(mode="after")
    def _white_is_louder(self) -> Self:
        if not -100.0 < self.black < self.white < 100.0:
            raise ValueError(f"black {self.black:g} and white {self.white:g} must rise within -100 and 100")
        return self

    @property
    def samples(self) -> int:
        """Samples of the wave of an image."""
        return self.frames * self.mel.hop


def square_mel(rate: int, size: int, seconds: float) -> MelConfig:
    """A spectrogram of `size` bands up to half the rate, of which `size` frames last about `seconds`.

    Raises UserError where the recordings have too low a rate for that.
    """
    hop = max(1, round(rate * seconds / size))
    fft = max(16, 2 ** math.ceil(math.log2(_MULTIPLE * hop)))
    while True:
        try:
            return MelConfig(rate=rate, fft=fft, hop=hop, bands=size, low=0.0, high=rate / 2)
        except ValidationError as error:
            if "bands lie between" not in str(error) or fft >= 2**14:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise UserError(f"no spectrogram of {size} bands and {seconds:g} s at {rate} Hz: {reason}") from None
            fft *= 2


def scaled_to(spectrograms: Tensor, mel: MelConfig) -> PictureConfig:
    """Black and white for log-mel [N, bands, frames]: white is their largest value, black 80 dB below."""
    white = float(spectrograms.max())
    black = max(math.log(FLOOR), white - DYNAMIC_RANGE_DB * math.log(10.0) / 20.0)
    return PictureConfig(mel=mel, frames=spectrograms.shape[-1], black=black, white=max(white, black + 1.0))


def fitted(wave: Tensor, samples: int) -> Tensor:
    """Wave [T] -> [samples]: the loudest stretch of a longer one, zeros after a shorter one."""
    surplus = len(wave) - samples
    if surplus <= 0:
        return torch.nn.functional.pad(wave, (0, -surplus))
    energy = torch.nn.functional.pad(wave.double().square().cumsum(0), (1, 0))
    start = int((energy[samples:] - energy[:-samples]).argmax())
    return wave[start : start + samples]


def normalised(wave: Tensor) -> Tensor:
    """Wave [T] with the peak 1; silence stays."""
    peak = wave.abs().max()
    return wave / peak if peak > 0 else wave


def to_pixels(spectrograms: Tensor, config: PictureConfig) -> Tensor:
    """Log-mel [N, bands, frames] -> images uint8 [N, 1, bands, frames], the lowest band at the bottom."""
    scaled = (spectrograms - config.black) / (config.white - config.black)
    return (scaled.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).flip(1)[:, None]


def from_pixels(images: Tensor, config: PictureConfig) -> Tensor:
    """Images uint8 [N, 1, bands, frames] -> log-mel; black is `config.black`. Raises UserError for other sizes."""
    expected = (1, config.mel.bands, config.frames)
    if images.shape[1:] != expected:
        found, wanted = (" x ".join(str(side) for side in shape) for shape in (tuple(images.shape[1:]), expected))
        raise UserError(f"images of {found} do not fit {PARAMETERS}, which is for {wanted}")
    return config.black + images[:, 0].flip(1).float() / 255.0 * (config.white - config.black)


def save_parameters(folder: Path, config: PictureConfig) -> None:
    """Write `spectrogram.json` into a folder."""
    write_durably(folder / PARAMETERS, (config.model_dump_json(indent=2) + "\n").encode())


def load_parameters(path: Path) -> PictureConfig:
    """Read a `spectrogram.json`. Raises UserError, one line, if it is missing or not of that form."""
    try:
        content = read_regular(path, _LARGEST_PARAMETERS)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name the file by --parameters") from None
    try:
        return PictureConfig.model_validate(parse_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    except ValueError as error:
        reason = str(error)
    raise UserError(f"{path} does not describe spectrogram images ({reason}): `lab data spectrograms` writes it")
