"""Presets: named YAML files of settings, each a short difference from its `base`, plus dotted overrides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lab.config import yaml_values
from lab.config.suggestions import nearest, shortened
from lab.errors import UserError
from lab.files.plain import read_regular

PACKAGE = "configs"
SUFFIX = ".yaml"
_MOST_BASES = 16
_DEEPEST_KEY = 16  # sections of a key

Settings = dict[str, Any]


def preset_names() -> list[str]:
    """Names of the shipped presets, e.g. "alphazero/connect_four".

    Bases, which start with an underscore, are left out, and so is what lies in a folder of that sort.
    """
    return sorted(name for name in _shipped() if not any(part.startswith("_") for part in name.split("/")))


def resolve(preset: str, overrides: Sequence[str] = ()) -> Settings:
    """The settings of a preset over those of its bases, then the overrides `a.b=c` over both.

    `preset` is a shipped name or the path of a YAML file, and so is each `base`; a path is relative to the file that
    names it. Raises UserError for unknown names, bad YAML, a cycle of bases or a malformed override.
    """
    settings: Settings = {}
    for _, layer in layers(preset):
        settings = merge(settings, layer)
    return merge(settings, parse_overrides(overrides))


def layers(preset: str) -> list[tuple[str, Settings]]:
    """The name and the own settings of a preset and of its bases, the lowest base first. Raises UserError."""
    found: list[tuple[str, Settings]] = []
    above: list[str] = []
    name: Any = preset
    directory = Path()
    while name is not None:
        path, text = _text(name, directory)
        identity = str(path.resolve()) if path else name
        if identity in above:
            raise UserError(f"the bases of presets form a cycle: {' -> '.join([*above, identity])}")
        if len(above) > _MOST_BASES:
            raise UserError(f"preset {shortened(preset)} has more than {_MOST_BASES} bases, one below the other")
        above.append(identity)
        settings = read_settings(text, f"preset {shortened(name)}")
        base = settings.pop("base", None)
        found.insert(0, (name, settings))
        if not isinstance(base, str | None):
            raise UserError(f"preset {shortened(name)}: base must be the name of one preset, not {shortened(base)}")
        name, directory = base, path.parent if path else Path()
    return found


def parse_overrides(overrides: Sequence[str]) -> Settings:
    """Nested settings from `a.b=c` texts, where c is a YAML value; later ones win. Raises UserError."""
    settings: Settings = {}
    for text in overrides:
        path, equals, value_text = text.partition("=")
        parts = path.split(".")
        if not equals or not all(part.strip() == part != "" for part in parts) or len(parts) > _DEEPEST_KEY:
            raise UserError(f"cannot read {shortened(text)}: an override is key=value, as in search.simulations=64")
        try:
            value = yaml_values.parse(value_text)
        except ValueError as error:
            raise UserError(f"cannot read the value of {shortened(path)}: {error}; quote it if it is text") from None
        for part in reversed(parts):
            value = {part: value}
        settings = merge(settings, value)
    return settings


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Settings:
    """`above` over `below`: mappings merge key by key, anything else (lists too) is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Settings:
    """Values by dotted key. An empty mapping is a value: options that are removed leave it behind."""
    found: Settings = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def read_file(path: Path) -> str:
    """The text of a YAML file. Raises UserError for anything but a regular file of UTF-8 of reasonable length."""
    try:
        return read_regular(path, largest=4 * yaml_values.LARGEST_TEXT).decode("utf-8")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = (
            "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        )
        raise UserError(f"cannot read the configuration {shortened(str(path))}: {reason}") from None


def read_settings(text: str, where: str) -> Settings:
    """A mapping from YAML text; `where` names it in messages. Raises UserError."""
    try:
        settings = yaml_values.parse(text)
    except ValueError as error:
        raise UserError(f"{where} is not YAML: {error}") from None
    if settings is None:
        return {}
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise UserError(f"{where} must be a mapping of setting names to values")
    return settings


def _text(name: str, directory: Path) -> tuple[Path | None, str]:
    """The path and the text of a preset; the path is None for a shipped preset."""
    if name.endswith(SUFFIX):
        path = directory / os.path.expanduser(name)
        return path, read_file(path)
    shipped = _shipped()
    if name not in shipped:
        names = {preset.rpartition("/")[2]: preset for preset in preset_names()}
        last = nearest(name.rpartition("/")[2], names)
        match = nearest(name, names.values()) or (names[last] if last is not None else None)
        hint = "" if match is None else f" did you mean {match!r}?"
        raise UserError(f"unknown preset {shortened(name)};{hint} `lab list` shows all presets")
    return None, shipped[name].read_text(encoding="utf-8")


def _shipped() -> dict[str, Traversable]:
    return dict(_walk(resources.files(PACKAGE), ""))


def _walk(directory: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        if entry.name.startswith("."):  # of an editor or a file system
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield prefix + entry.name.removesuffix(SUFFIX), entry
