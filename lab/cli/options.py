"""Options that verbs of several kinds share, and their checks."""

from pathlib import Path
from typing import Annotated

import typer

from lab.config.limits import LARGEST_SEED
from lab.errors import UserError
from lab.train import device as devices
from lab.train.device import Device

Checkpoint = Annotated[str, typer.Option("--checkpoint", help="best, latest or an iteration.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
SampleSeed = Annotated[
    int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed; sample i depends only on it and on i.")
]
EvalSeed = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of the samples.")]


def device_of(name: str) -> Device:
    """The device of that name, applied to this process. Raises UserError for an absent device."""
    return devices.apply(devices.resolve(name))


def check_absent(path: Path, overwrite: bool) -> None:
    """Raise UserError for an existing file unless `overwrite`."""
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; --overwrite replaces it, or give another name")


def check_folder(path: Path, overwrite: bool) -> None:
    """Raise UserError for a path that cannot be a folder of new files: a file, or a folder with files unless
    `overwrite`."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; name a folder")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise UserError(f"{path} is not empty; --overwrite writes into it, or give another name")


def check_suffix_of(option: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise UserError unless the file has one of the suffixes."""
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{option} {path}: give a file that ends in {' or '.join(suffixes)}")
