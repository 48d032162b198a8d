"""`lab config`: the resolved configuration of a preset, or one key with its meaning and where its value comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.config import presets, yaml_values
from lab.config.keys import Key, keys_of
from lab.config.loading import is_resumable, load_preset
from lab.config.sections import ExperimentConfig
from lab.config.suggestions import nearest, shortened
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, locate_run
from lab.terminal.consoles import Console
from lab.terminal.streams import say

_COMMENT_COLUMN = 44


def config(
    preset: Annotated[
        str,
        typer.Argument(
            metavar="PRESET_OR_RUN", help="A name from `lab list`, a YAML file's path, or a run.", show_default=False
        ),
    ],
    overrides: Overrides = None,
    explain: Annotated[
        str, typer.Option("--explain", metavar="KEY", help="Explain one key or section, as in search.simulations.")
    ] = "",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Print the resolved configuration of a preset or run as YAML, with the meaning of every key.

    Values are resolved in this order: defaults, then the preset and its bases, then the command line.
    """
    overrides = overrides or []
    run = locate_run(preset, runs_dir)
    if run is not None:
        preset = str(run / "config.yaml")
    resolved = load_preset(preset, overrides)
    values = resolved.model_dump(mode="json")
    keys = keys_in_use(resolved, values)
    if explain:
        chosen = [key for name, key in keys.items() if name == explain or name.startswith(f"{explain}.")]
        if not chosen:
            raise UserError(f"no key {shortened(explain)} in preset {shortened(preset)}; {_nearest(explain, keys)}")
        records = [_record(key, values, preset, overrides) for key in chosen if not key.section or key.key == explain]
        if as_json:
            print_json(records[0] if len(records) == 1 else {"keys": records})
            return
        _print_records(records)
        return
    if as_json:
        print_json(values)
        return
    for line in described_yaml(values, keys):
        say(line)


def described_yaml(values: Mapping[str, Any], keys: Mapping[str, Key], prefix: str = "", indent: int = 0) -> list[str]:
    """Lines of YAML with the meaning of each key as a comment; `lab train` accepts them as a preset."""
    lines = []
    for name, value in values.items():
        key, start = keys.get(prefix + name), " " * indent + f"{name}:"
        if key is not None and key.section and isinstance(value, Mapping):
            lines.append(_commented(start, key.description or key.section_help))
            lines += described_yaml(value, keys, f"{prefix}{name}.", indent + 2)
        else:
            text = yaml_values.render({name: value}).rstrip("\n").split("\n")
            lines.append(_commented(" " * indent + text[0], key.description if key is not None else ""))
            lines += [" " * indent + line for line in text[1:]]
    return lines


def source_of(key: str, preset: str, overrides: Sequence[str]) -> str:
    """Where the value of a key comes from: the command line, a preset, or the default."""
    if _has(presets.parse_overrides(overrides), key):
        return "command line"
    for name, settings in reversed(presets.layers(preset)):
        if _has(settings, key):
            return f"preset {name}"
    return "default"


def keys_in_use(resolved: ExperimentConfig, values: Mapping[str, Any]) -> dict[str, Key]:
    """The keys of this configuration; a section with variants has the keys of the chosen one."""
    keys: dict[str, Key] = {}
    for key in keys_of(type(resolved)):
        section = key.key.rpartition(".")[0]
        if not key.variant or _value(values, f"{section}.name") == key.variant or key.key not in keys:
            keys[key.key] = key
    return {name: key for name, key in keys.items() if _has(values, name)}


def _record(key: Key, values: Mapping[str, Any], preset: str, overrides: Sequence[str]) -> dict[str, Any]:
    value, source = _value(values, key.key), source_of(key.key, preset, overrides)
    if source == "default" and not key.section and value != _as_json(key.default):
        source = "computed from other keys"
    record: dict[str, Any] = {"key": key.key, "value": value, "type": key.type}
    if not key.section:
        record |= {"default": None if key.required else _as_json(key.default), "required": key.required}
    record |= {"meaning": key.description or key.section_help, "from": source}
    return record | {"resumable": is_resumable(key.key)}


def _print_records(records: Sequence[Mapping[str, Any]]) -> None:
    console = Console()
    for number, record in enumerate(records):
        if number:
            console.print()
        for name, value in record.items():
            if name == "required" or (name == "default" and record.get("required")):
                continue
            if name == "resumable":
                name, value = "can change on resume", "yes" if value else "no"
            shown = value if isinstance(value, str) else yaml_values.render(value).removesuffix("...\n").strip()
            body = Text(f"{name:<21}", style="bold").append(
                Text(shown.replace("\n", "\n" + " " * 21), style="not bold")
            )
            console.print(body, soft_wrap=True)


def _nearest(key: str, keys: Mapping[str, Key]) -> str:
    """End of a message: the nearest key, else the nearest by its last part, else a hint."""
    last = {name.rpartition(".")[2]: name for name in keys}
    part = nearest(key.rpartition(".")[2], last)
    match = nearest(key, keys) or (last[part] if part is not None else None)
    return f"did you mean {match!r}?" if match is not None else "`lab config` without --explain prints every key"


def _commented(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_COLUMN}} # {comment}" if comment else text


def _value(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
