"""`lab data`: pack, look at and fetch sets of pictures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from lab.verbs import Json, print_json


class Broken(StrEnum):
    refuse = "refuse"
    skip = "skip"


class Fit(StrEnum):
    crop = "crop"
    pad = "pad"
    stretch = "stretch"


def pack(
    source: Annotated[Path, typer.Argument(help="A folder, a StyleGAN zip, .npy or .npz (images, labels).")],
    out: Annotated[Path, typer.Argument(help="The packed file, FILE.safetensors.")],
    resolution: Annotated[int | None, typer.Option(help="Power of two; the largest that all pictures fill.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, max=3, help="1 or 3; 3 if any picture has colour.")] = None,
    fit: Annotated[Fit, typer.Option(help="How a picture becomes square.")] = Fit.crop,
    broken: Annotated[Broken, typer.Option(help="What to do about pictures that cannot be read.")] = Broken.refuse,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Pack pictures into one file that training maps instead of loading.

    Labels come from dataset.json, or from subfolders when every picture is in one.
    """
    from lab.data import pack as packing
    from lab.errors import UserError

    if channels == 2:
        raise UserError("--channels is 1 or 3")
    console = Console(highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("packing")
        packed = packing.pack(
            source,
            out,
            resolution=resolution,
            channels=channels,
            fit=fit.value,
            skip_broken=broken is Broken.skip,
            workers=workers,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for line in packed.broken:
        console.print(f"left out {line}", soft_wrap=True, markup=False)
    classes = f", {len(packed.classes)} classes" if packed.classes else ", no labels"
    size = f"{packed.resolution} x {packed.resolution}, {packed.channels} channels"
    console.print(f"{packed.count:,} pictures ({size}, {fit}{classes}) in {out}", soft_wrap=True, markup=False)


def inspect(
    file: Annotated[str, typer.Argument(help="A packed file, or a set's name (digits).")],
    sheet: Annotated[Path | None, typer.Option(help="PNG with the first 64 pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Print what a set of pictures holds."""
    import numpy as np

    from lab.data.images import open_images

    data = open_images(file)
    counts = {} if data.labels is None else dict(zip(data.classes, np.bincount(data.labels).tolist(), strict=False))
    if sheet is not None:
        from PIL import Image

        first = np.asarray(data.images[:64])
        side, blank = data.resolution, np.zeros((64 - len(first), *first.shape[1:]), np.uint8)
        tiles = np.concatenate([first, blank]).reshape(8, 8, data.channels, side, side)
        pixels = tiles.transpose(0, 3, 1, 4, 2).reshape(8 * side, 8 * side, data.channels)
        Image.fromarray(pixels[:, :, 0] if data.channels == 1 else pixels).save(sheet)
    record = {"pictures": len(data), "resolution": data.resolution, "channels": data.channels, "labels": counts}
    if as_json:
        print_json(record | {"fingerprint": data.fingerprint})
        return
    console = Console(highlight=False)
    console.print(f"{len(data):,} pictures, {data.resolution} x {data.resolution}, {data.channels} channels")
    console.print("labels: " + (", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"))
    console.print(f"fingerprint {data.fingerprint}")


def fetch(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist or cifar10.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Fetch it again.")] = False,
) -> None:
    """Download a public set and pack it, for `data.source=NAME`."""
    from lab.data.fetch import fetch as download

    Console(highlight=False).print(f"{name} in {download(name, overwrite=overwrite)}", soft_wrap=True, markup=False)
