"""`lab data augment`: a contact sheet of a preset's augmentation, one row per operation."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from lab.cli.arguments import Overrides
from lab.cli.options import check_suffix_of
from lab.config.loading import load_preset
from lab.errors import UserError
from lab.plots.images import grid, save_png, to_uint8
from lab.supervised.augment import augment
from lab.supervised.config import AugmentConfig, SupervisedConfig
from lab.supervised.data import split
from lab.supervised.inference import as_inputs
from lab.terminal.streams import say

_SHOWN = {"mirror": True, "crop": 4, "rotation": 30.0, "scale": 0.3, "hue": 0.3, "grey": 1.0, "noise": 0.1, "cutout": 8}
"""Strength at which an operation is shown if the preset does not use it."""
_LABEL = 110  # pixels of the column of names
_TILE = 48  # least pixels of an image's side


def augment_sheet(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A supervised preset.", show_default=False)],
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="FILE.png.")] = Path("augmentation.png"),
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=32, help="Images in a row.")] = 10,
) -> None:
    """Write a PNG of a preset's augmentation: originals, each operation alone, the preset's operations together.

    Operations that the preset does not use are shown too, marked (off).
    """
    check_suffix_of("--out", out, (".png",))
    config = load_preset(preset, overrides or [])
    if not isinstance(config, SupervisedConfig):
        raise UserError(f"{preset} is of kind {config.kind!r}, not supervised")
    train = split(config.data, config.seed, classified=config.task.targets == "classes")[0]
    if not train.has_images:
        raise UserError(f"{config.data.source} is a table: only images are augmented")
    chosen = np.linspace(0, len(train) - 1, min(count, len(train))).round().astype(int)
    images = as_inputs(torch.from_numpy(np.array(train.inputs[chosen])))
    rows = {"original": images} | {
        name: augment(images, one, config.seed, 0) for name, one in operations(config.augment).items()
    }
    rows["all together"] = augment(images, config.augment, config.seed, 0)
    save_png(out, labelled(rows))
    say(f"{len(rows)} rows of {len(images)} images in {out}")


def operations(config: AugmentConfig) -> dict[str, AugmentConfig]:
    """Each operation alone, at its configured strength or, if it is off, at a typical one."""
    nothing = AugmentConfig(crop=0, border=config.border)
    alone = {}
    for name, typical in _SHOWN.items():
        strength = getattr(config, name)
        alone[name if strength else f"{name} (off)"] = nothing.model_copy(update={name: strength or typical})
    return alone


def labelled(rows: dict[str, Tensor]) -> np.ndarray:
    """Rows of images [N, C, R, R] in [-1, 1] with their names at the left: uint8 [H, W, C]."""
    from PIL import Image, ImageDraw, ImageFont

    first = next(iter(rows.values()))
    factor = -(-_TILE // first.shape[-1])
    tiles = to_uint8(torch.cat(list(rows.values()))).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    sheet = grid(tiles, columns=len(first))
    labels = Image.new("L", (_LABEL, sheet.shape[0]))
    draw = ImageDraw.Draw(labels)
    pitch = (sheet.shape[0] + 1) / len(rows)
    for index, name in enumerate(rows):
        draw.text((4, (index + 0.5) * pitch), name, 255, ImageFont.load_default(12), anchor="lm")
    beside = np.repeat(np.asarray(labels)[:, :, None], sheet.shape[2], 2)
    return np.concatenate([beside, sheet], 1)
