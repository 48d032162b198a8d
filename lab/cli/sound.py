"""`lab data sound`: spectrogram images as recordings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from lab.cli.options import Overwrite, check_absent, check_folder
from lab.errors import UserError
from lab.terminal.consoles import progress_bar
from lab.terminal.streams import say

if TYPE_CHECKING:
    from lab.audio.pictures import PictureConfig

_BATCH = 64  # images per call of Griffin-Lim


def sound(
    images: Annotated[Path, typer.Argument(help="A PNG file, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="FILE.wav for one image; a folder for several.")],
    parameters: Annotated[
        Path | None, typer.Option(help="spectrogram.json of the images; by default the one beside them.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, max=10_000, help="Iterations of Griffin-Lim.")] = 64,
    overwrite: Overwrite = False,
) -> None:
    """Make WAV files of spectrogram images, real ones or samples of a generator, by Griffin-Lim."""
    from lab.audio import pictures
    from lab.audio.griffin_lim import mel_to_wave
    from lab.audio.wav import write_wav

    one = not images.is_dir()
    if one and not images.exists():
        raise UserError(f"{images} does not exist; name a PNG file or a folder of them")
    folder = images.parent if one else images
    files = [images] if one else sorted(path for path in images.rglob("*") if path.suffix.lower() == ".png")
    if not files:
        raise UserError(f"{images} holds no .png files")
    if one and out.suffix.lower() != ".wav":
        raise UserError(f"{out}: one image gives one sound; name FILE.wav")
    if one:
        check_absent(out, overwrite)
    else:
        check_folder(out, overwrite)
    beside = folder / pictures.PARAMETERS
    if parameters is None and not beside.exists():
        raise UserError(f"{beside} does not exist: name the spectrogram.json of the training images by --parameters")
    config = pictures.load_parameters(parameters or beside)
    with progress_bar() as bar:
        task = bar.add_task("sound", total=len(files))
        for start in range(0, len(files), _BATCH):
            batch = files[start : start + _BATCH]
            spectrograms = torch.cat([_spectrogram(path, config) for path in batch])
            waves = mel_to_wave(spectrograms, config.mel, iterations=iterations)
            for path, wave in zip(batch, waves, strict=True):
                target = out if one else out / path.relative_to(folder).with_suffix(".wav")
                write_wav(target, 0.95 * pictures.normalised(wave), config.mel.rate)
            bar.advance(task, len(batch))
    what = "1 recording" if one else f"{len(files):,} recordings"
    say(f"{what} of {config.samples / config.mel.rate:.3g} s at {config.mel.rate} Hz in {out}")


def _spectrogram(path: Path, config: "PictureConfig") -> Tensor:
    """Log-mel [1, bands, frames] of a file. Raises UserError that names it."""
    from lab.audio.pictures import from_pixels

    pixels = _pixels(path)
    try:
        return from_pixels(pixels, config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _pixels(path: Path) -> Tensor:
    """The image of a file in grey: uint8 [1, 1, H, W]."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return torch.from_numpy(np.array(image.convert("L")))[None, None]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as an image ({error})") from None
