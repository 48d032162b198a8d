"""Options that verbs of several kinds share, and the checks that belong to them."""

from pathlib import Path
from typing import Annotated

import typer

from lab.errors import UserError
from lab.train import device as devices
from lab.train.device import Device

Checkpoint = Annotated[str, typer.Option("--checkpoint", help="best, latest or an iteration.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
SampleSeed = Annotated[int, typer.Option("--seed", help="Sample i depends on the seed and i alone.")]
EvalSeed = Annotated[int, typer.Option("--seed", help="Of the samples.")]


def device_of(name: str) -> Device:
    """The device of that name, applied to this process. Raises UserError for one that is not here."""
    device = devices.resolve(name)
    devices.apply(device)
    return device


def check_absent(path: Path, overwrite: bool) -> None:
    """Raise UserError for a file that would be lost."""
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; --overwrite replaces it, or name another")


def check_suffix_of(option: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise UserError for a file of a kind that is not written."""
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{option} {path}: give a file that ends in {' or '.join(suffixes)}")
