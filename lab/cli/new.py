"""`lab new`: the files of a new game or preset, to be edited."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from lab.cli.config import described_yaml, keys_in_use
from lab.config import presets
from lab.config.loading import load_preset
from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.files import durable
from lab.terminal.streams import say, say_next

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


class GameTemplate(StrEnum):
    """The small games to start from, each with a file of rules and a file of tests in `lab/templates`."""

    placement = "placement"
    movement = "movement"


def new_game(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the game: letters, digits, _.")],
    template: Annotated[
        GameTemplate, typer.Option(help="Stones are placed (an action per cell), or pieces move (cells x directions).")
    ] = GameTemplate.placement,
    out: Annotated[Path | None, typer.Option(help="Folder to create.", show_default="a folder NAME here")] = None,
) -> None:
    """Write a package with a small working game, its preset, its test and its entry point.

    The rules are tensor operations over many boards; edit them and keep the test green. Where the package is installed,
    its entry point in the group `rivals.games` registers the game for every command. Existing files are kept.
    """
    _check_name(name)
    folder = out or Path(name)
    class_name = "".join(part.capitalize() for part in name.split("_"))
    files = {
        f"{name}.py": _template(f"{template}.py.txt"),
        f"test_{name}.py": _template(f"test_{template}.py.txt"),
        f"{name}.yaml": _template("preset.yaml.txt"),
        "pyproject.toml": _template("pyproject.toml.txt"),
    }
    written = {folder / file: text.substitute(name=name, class_name=class_name) for file, text in files.items()}
    _write(written)
    for path in written:
        say(f"written: {path}")
    say_next((f"pip install -e {folder}", f"pytest {folder}", f"lab train {folder / name}.yaml"))


def new_preset(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the file without its suffix.")],
    base: Annotated[str, typer.Option(help="The preset that the new one changes.")] = "alphazero/connect_four",
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="NAME.yaml here")] = None,
) -> None:
    """Write a preset file based on another; the settings of the base are commented out, ready to edit.

    `lab train NAME.yaml` trains it. An existing file is kept.
    """
    if not re.fullmatch(r"[\w.+=-]{1,100}", name) or name.startswith("."):
        raise UserError(f"{shortened(name)} cannot name a preset: use at most 100 letters, digits, '_' and '-'")
    config = load_preset(base)
    settings = {key: value for key, value in presets.resolve(base).items() if key not in ("kind", "description")}
    path = out or Path(f"{name.removesuffix(presets.SUFFIX)}{presets.SUFFIX}")
    keys = keys_in_use(config, config.model_dump(mode="json"))
    lines = [
        f"# Based on {base}: uncomment the settings to change. `lab config {path}` prints every key with its meaning.",
        f"description: {name}, from {base}",
        f"base: {base}",
        *(f"# {line}" for line in described_yaml(settings, keys)),
    ]
    _write({path: "\n".join(lines) + "\n"})
    say(f"written: {path}")
    say_next((f"lab config {path}", f"lab train {path}"))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{shortened(name)} cannot name a game: use lower-case letters, digits and '_', a letter first")


def _template(file: str) -> Template:
    return Template((resources.files("lab") / "templates" / file).read_text(encoding="utf-8"))


def _write(files: Mapping[Path, str]) -> None:
    """Write all files, or none and raise UserError if one exists."""
    taken = next((path for path in files if path.exists()), None)
    if taken is not None:
        raise UserError(f"{taken} exists and is not overwritten; give another name or --out")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write_durably(path, text.encode())
        except OSError as error:
            raise UserError(durable.explain(error, path)) from error
