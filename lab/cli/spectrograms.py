"""`lab data spectrograms`: recordings as spectrogram images with labels, for image kinds to train on."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import Overwrite, check_folder
from lab.errors import UserError
from lab.files.durable import write_durably
from lab.terminal.consoles import progress_bar
from lab.terminal.streams import say

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
    from lab.audio import pictures
    from lab.audio.picture_set import draw_set
    from lab.audio.remarks import grouped
    from lab.audio.sources import open_recordings
    from lab.plots.images import save_png

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
        drawn = draw_set(
            recordings, size=size, seconds=seconds, rate=rate, like=given, progress=lambda: bar.advance(task)
        )
    images = {_image_name(name): image for name, image in drawn.images.items()}
    for name, image in images.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        save_png(out / name, image.permute(1, 2, 0).numpy())
    others = sum(path.suffix.lower() == ".png" for path in out.rglob("*")) - len(images)
    if others:
        say(f"note: {out} holds {others:,} other .png files, which packing takes too: remove those of an earlier call")
    pictures.save_parameters(out, drawn.config)
    labels = None if classes is None else {_image_name(name): classes[name] for name in drawn.images}
    _write_listing(out, labels)
    for line in grouped(drawn.remarks):
        say(f"note: {line}")
    if drawn.silent:
        say(f"left out {drawn.silent:,} silent recordings")
    mel, kinds = drawn.config.mel, "no labels" if labels is None else f"{len(set(labels.values()))} classes"
    length = f"{drawn.config.samples / mel.rate:.3g} s at {mel.rate} Hz"
    say(f"{out}: {len(images):,} images of {mel.bands} bands x {drawn.config.frames} frames, {length}, {kinds}")


def _image_name(recording: str) -> str:
    return recording[: -len(".wav")] + ".png"


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


def _write_listing(out: Path, labels: dict[str, str] | None) -> None:
    """dataset.json of images with the names of their classes, as packing reads it."""
    listing: dict[str, object] = {"labels": None}
    if labels is not None:
        classes = sorted(set(labels.values()))
        listing = {"labels": [[name, classes.index(label)] for name, label in labels.items()], "classes": classes}
    write_durably(out / "dataset.json", json.dumps(listing).encode())
