"""`lab data spectrograms`: recordings as spectrogram images with labels, for image kinds to train on."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from lab.cli.options import Overwrite, check_folder
from lab.errors import UserError
from lab.terminal.consoles import progress_bar
from lab.terminal.streams import say

_SHOWN = 5  # recordings named for a remark
_SIZES = (16, 32, 64, 128, 256)


def spectrograms(
    source: Annotated[Path, typer.Argument(help="A folder or a zip of WAV files.")],
    out: Annotated[Path, typer.Argument(help="Folder for the images, dataset.json and spectrogram.json.")],
    size: Annotated[int, typer.Option(help="Bands and frames: 16, 32, 64, 128 or 256.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.05, max=60.0, help="Length of an image.")] = 1.0,
    rate: Annotated[
        int | None, typer.Option(min=1000, max=384_000, help="Sampling rate in Hz; by default the lowest of the files.")
    ] = None,
    only: Annotated[str, typer.Option(help="Regular expression of the names to take; all by default.")] = "",
    label: Annotated[
        str, typer.Option(help="Regular expression whose first group, or match, in a name is its class.")
    ] = "",
    like: Annotated[
        Path | None, typer.Option(help="A spectrogram.json: the same scale, for a test set; it replaces --size ...")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write log-mel spectrograms of recordings as grey images, which image kinds train on.

    A longer recording gives its loudest stretch, a shorter one is followed by silence; each has the peak 1. Silent
    recordings are left out. spectrogram.json holds what `lab data sound` needs to make sound of such images.
    """
    import torch

    from lab.audio import pictures
    from lab.audio.sources import open_recordings

    if size not in _SIZES:
        raise UserError(f"--size {size} is not {', '.join(map(str, _SIZES[:-1]))} or {_SIZES[-1]}")
    patterns = {option: _pattern(option, text) for option, text in (("--only", only), ("--label", label))}
    check_folder(out, overwrite)
    given = None if like is None else pictures.load_parameters(like)
    recordings = open_recordings(source).matching(patterns["--only"])
    if not recordings.names:
        raise UserError(f"{source}: no name of a .wav file matches --only {only!r}")
    classes = _classes(recordings.names, patterns["--label"]) if label else None
    with progress_bar() as bar:
        task = bar.add_task("reading", total=len(recordings.names))
        found = {}
        for name in recordings.names:
            found[name] = recordings.read(name)
            bar.advance(task)
    if given is None:
        mel = pictures.square_mel(rate or min(one.rate for one in found.values()), size, seconds)
        frames = size
    else:
        mel, frames = given.mel, given.frames
    remarks = {name: list(one.remarks) for name, one in found.items()}
    low = [name for name, one in found.items() if one.rate < mel.rate]
    for name in low:
        remarks[name].append(f"it has {found[name].rate} Hz and is empty above {found[name].rate // 2}")
    heard = [name for name in found if "it is silent" not in remarks[name]]
    if not heard:
        raise UserError(f"{source}: every recording is silent")
    drawn = []
    for name in heard:
        wave = found[name].at(mel.rate)
        if len(wave) > frames * mel.hop:
            remarks[name].append(
                f"it is longer than {frames * mel.hop / mel.rate:.3g} s; its loudest stretch was taken"
            )
        drawn.append(pictures.spectrogram_of(wave, mel, frames))
    stacked = torch.stack(drawn)
    config = given or pictures.scaled_to(stacked, mel)
    images = pictures.to_pixels(stacked, config)
    _write(out, {name.removesuffix(name[-4:]) + ".png": image for name, image in zip(heard, images, strict=True)})
    pictures.save_parameters(out, config)
    _write_listing(out, heard, classes)
    _say_remarks(remarks)
    silent = len(found) - len(heard)
    if silent:
        say(f"left out {silent:,} silent recordings")
    kinds = f"{len(set(classes.values()))} classes" if classes else "no labels"
    length = f"{config.samples / mel.rate:.3g} s at {mel.rate} Hz"
    say(f"{out}: {len(heard):,} images of {mel.bands} bands x {frames} frames, {length}, {kinds}")


def _pattern(option: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"{option} {text!r} is not a regular expression: {error}") from None


def _classes(names: tuple[str, ...], pattern: re.Pattern[str]) -> dict[str, str]:
    """The class of each name. Raises UserError for names without one."""
    found = {name: pattern.search(name) for name in names}
    without = [name for name, match in found.items() if match is None]
    if without:
        raise UserError(
            f"--label {pattern.pattern!r} matches nothing in {len(without):,} names, such as {without[0]}: "
            "leave these out by --only, or change it"
        )
    return {name: match[1 if pattern.groups else 0] or "" for name, match in found.items() if match is not None}


def _write(out: Path, images: dict[str, Tensor]) -> None:
    from lab.plots.images import save_png

    for name, image in images.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(path, image.permute(1, 2, 0).numpy())


def _write_listing(out: Path, names: list[str], classes: dict[str, str] | None) -> None:
    listing: dict[str, object] = {"labels": None}
    if classes is not None:
        known = sorted({classes[name] for name in names})
        number = {text: index for index, text in enumerate(known)}
        pairs = [[name.removesuffix(name[-4:]) + ".png", number[classes[name]]] for name in names]
        listing = {"labels": pairs, "classes": known}
    (out / "dataset.json").write_text(json.dumps(listing), encoding="utf-8")


def _say_remarks(remarks: dict[str, list[str]]) -> None:
    """One line for each remark, with the recordings it is about; figures in it are those of the first."""
    seen: dict[str, list[str]] = {}
    text: dict[str, str] = {}
    for name, lines in remarks.items():
        for line in lines:
            key = re.sub(r"[\d.]+", "", line)
            text.setdefault(key, line)
            seen.setdefault(key, []).append(name)
    for key, names in seen.items():
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        say(f"note: {len(names):,} recordings: {text[key]} ({shown})")
