"""Presets: named YAML files of settings, each a short difference from its `base`, plus dotted overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lab.config import yaml_values
from lab.config.suggestions import did_you_mean
from lab.errors import UserError

PACKAGE = "configs"
SUFFIX = ".yaml"

Settings = dict[str, Any]


def preset_names() -> list[str]:
    """Names of the shipped presets, e.g. "alphazero/connect_four", without bases (a leading underscore)."""
    return sorted(name for name in _shipped() if not name.rpartition("/")[2].startswith("_"))


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
    return _layers(preset, Path(), ())


def parse_overrides(overrides: Sequence[str]) -> Settings:
    """Nested settings from `a.b=c` texts, where c is a YAML value; later ones win. Raises UserError."""
    settings: Settings = {}
    for text in overrides:
        path, equals, value_text = text.partition("=")
        parts = path.split(".")
        if not equals or not all(part.strip() == part != "" for part in parts):
            raise UserError(f"cannot read {text!r}: an override is key=value, as in search.simulations=64")
        try:
            value = yaml_values.parse(value_text)
        except ValueError as error:
            raise UserError(f"cannot read the value of {path!r}: {error}; quote it if it is text") from None
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


def _layers(name: str, directory: Path, above: tuple[str, ...]) -> list[tuple[str, Settings]]:
    path, text = _text(name, directory)
    identity = str(path.resolve()) if path else name
    if identity in above:
        raise UserError(f"the bases of presets form a cycle: {' -> '.join([*above, identity])}")
    settings = read_settings(text, f"preset {name!r}")
    base = settings.pop("base", None)
    if base is None:
        return [(name, settings)]
    if not isinstance(base, str):
        raise UserError(f"preset {name!r}: base must be the name of one preset, not {base!r}")
    return [*_layers(base, path.parent if path else Path(), (*above, identity)), (name, settings)]


def _text(name: str, directory: Path) -> tuple[Path | None, str]:
    """The path and the text of a preset; the path is None for a shipped preset."""
    if name.endswith(SUFFIX):
        path = directory / Path(name).expanduser()
        try:
            return path, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UserError(f"cannot read the preset file {str(path)!r}: {reason}") from None
    shipped = _shipped()
    if name not in shipped:
        raise UserError(f"unknown preset {name!r}; {did_you_mean(name, preset_names())} (`lab list` shows all)")
    return None, shipped[name].read_text(encoding="utf-8")


def _shipped() -> dict[str, Traversable]:
    return dict(_walk(resources.files(PACKAGE), ""))


def _walk(directory: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield prefix + entry.name.removesuffix(SUFFIX), entry
