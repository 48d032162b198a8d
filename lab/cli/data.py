"""`lab data`: pack, inspect and download image sets."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.arguments import Json, print_json
from lab.errors import UserError
from lab.terminal.consoles import progress_bar
from lab.terminal.streams import say


class Broken(StrEnum):
    refuse = "refuse"
    skip = "skip"


class Labels(StrEnum):
    auto = "auto"
    folders = "folders"
    none = "none"


class Fit(StrEnum):
    crop = "crop"
    pad = "pad"
    stretch = "stretch"


def pack(
    source: Annotated[Path, typer.Argument(help="A folder, a StyleGAN zip, .npy or .npz (images, labels).")],
    out: Annotated[Path, typer.Argument(help="The packed file, FILE.safetensors.")],
    resolution: Annotated[
        int | None, typer.Option(help="4, 8, ... 1024; by default the largest that needs no enlargement.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, max=3, help="1 or 3; by default 3 if any image has colour.")
    ] = None,
    fit: Annotated[Fit, typer.Option(help="How an image becomes square.")] = Fit.crop,
    labels: Annotated[
        Labels, typer.Option(help="Labels from dataset.json, else folders (auto); from folders; or none.")
    ] = Labels.auto,
    broken: Annotated[
        Broken, typer.Option(help="Refuse the source or skip images that cannot be read.")
    ] = Broken.refuse,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Decoding processes.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Pack images into one file, which training maps into memory.

    Images are found by their content. Labels come from dataset.json, or from the folders if there are several. Hidden
    and system files are left out; whatever is left out is printed.
    """
    from lab.data import pack as packing

    with progress_bar() as bar:
        task = bar.add_task("packing", total=None)
        packed = packing.pack(
            source,
            out,
            resolution=resolution,
            channels=channels,
            fit=fit.value,
            label_source=labels.value,
            skip_broken=broken is Broken.skip,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for line in packed.broken:
        say(f"skipped {line}")
    for line in packed.left_out:
        say(f"left out {line}")
    for line in packed.notes:
        say(f"note: {line}")
    say(f"rule: {packed.rule}")
    say(f"labels: {packed.labels}")
    classes = f"{len(packed.classes)} classes" if packed.classes else "no labels"
    size = f"{packed.count:,} x {packed.channels} x {packed.resolution} x {packed.resolution}"
    say(f"{out}: {size}, {classes}")


def inspect(
    file: Annotated[str, typer.Argument(help="A packed file, or a set's name (digits).")],
    sheet: Annotated[Path | None, typer.Option(help="Write a PNG: a row of images per class, or 64 images.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the whole file and compare it with its fingerprint.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print size, labels and preprocessing of an image set."""
    import numpy as np

    from lab.data.images import open_images, verify_images
    from lab.data.sheet import save_sheet

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UserError(f"--sheet {sheet}: give a file that ends in .png")
    data = open_images(file)
    if verify:
        verify_images(data)
    counts = None
    if data.labels is not None:
        found = np.bincount(data.labels, minlength=data.num_classes).tolist()
        counts = dict(zip(data.classes, found, strict=True))
    if sheet is not None:
        save_sheet(sheet, data)
    record = {
        "images": len(data),
        "resolution": data.resolution,
        "channels": data.channels,
        "labels": counts,
        "rule": data.rule,
        "fingerprint": data.fingerprint,
        "sheet": None if sheet is None else str(sheet),
    }
    if as_json:
        print_json(record)
        return
    shown = record | {"labels": ", ".join(f"{name} {count:,}" for name, count in (counts or {}).items())}
    for name, value in shown.items():
        say(f"{name:<12}{value or 'none'}")


def fetch(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist or cifar10.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Pack again, and download damaged files again.")
    ] = False,
) -> None:
    """Download a public set and pack it, for `data.source=NAME` and `data.source=NAME_test`."""
    from lab.data.fetch import fetch as download

    with progress_bar() as bar:
        task = bar.add_task(name, total=None)
        packed = download(
            name,
            overwrite=overwrite,
            progress=lambda file, done, total: bar.update(task, description=file, completed=done, total=total),
        )
    for path in packed:
        say(f"{path.stem} in {path}")
