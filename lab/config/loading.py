"""Validated configurations from presets, overrides and stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lab import __version__
from lab.config import presets, yaml_values
from lab.config.messages import explain
from lab.config.registry import find_kind, load
from lab.config.sections import SCHEMA_VERSION, ExperimentConfig
from lab.config.suggestions import shortened
from lab.errors import UserError

RESUMABLE = ("budget", "evaluate.patience", "evaluate.device", "device", "threads", "cluster.*", "tracking.*")
"""Keys that a stopped run may change: they set how long and where it trains, and do not change the numbers."""

_DESCRIBED_ELSEWHERE = ("seed", "precision", "checkpoint", "evaluate", "schema_version")
_LONGEST_DESCRIPTION = 200
_SHOWN = 8  # problems of one configuration

C = TypeVar("C", bound=BaseModel)


def load_preset(preset: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The validated configuration of a preset (a shipped name or a YAML file's path) under overrides `a.b=c`.

    Where overrides change the experiment itself, the description says so in place of the preset's. Raises UserError
    with one line per problem.
    """
    settings = presets.resolve(preset, overrides)
    keys = {text: text.partition("=")[0].strip() for text in overrides}
    changes = [
        text for text, key in keys.items() if not (is_resumable(key) or key.split(".")[0] in _DESCRIBED_ELSEWHERE)
    ]
    if changes and "description" not in keys.values():
        described = " ".join(f"{preset} with {' '.join(changes)}".split())
        settings["description"] = (
            described if len(described) <= _LONGEST_DESCRIPTION else f"{described[: _LONGEST_DESCRIPTION - 3]}..."
        )
    return from_settings(settings, f"preset {shortened(preset)}")


def load_run_config(path: Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The configuration stored at `path` (a run's config.yaml), with overrides of `RESUMABLE` keys.

    An override that repeats the stored value is accepted for any key. Raises UserError for other keys, for a
    schema that this version does not read, and for a damaged file.
    """
    stored = from_settings(presets.read_settings(presets.read_file(path), str(path)), str(path))
    if not overrides:
        return stored
    merged = presets.merge(stored.model_dump(mode="json"), presets.parse_overrides(overrides))
    changed = from_settings(merged, "the overrides")
    frozen = [key for key in differences(stored, changed) if not is_resumable(key)]
    if frozen:
        named = ", ".join(frozen[:8]) + (", ..." if len(frozen) > 8 else "")
        raise UserError(
            f"a run cannot change {named}: it would no longer be the same experiment. "
            f"`lab resume` accepts {', '.join(RESUMABLE)}; start a new run for anything else"
        )
    return changed


def from_settings(settings: Mapping[str, Any], where: str) -> ExperimentConfig:
    """Validate plain settings with the class of their `kind`; `where` names them in messages."""
    _check_schema_version(settings.get("schema_version", SCHEMA_VERSION), where)
    kind = settings.get("kind")
    if not isinstance(kind, str):
        raise UserError(f"{where} has no `kind`, the kind of experiment (e.g. kind: alphazero)")
    config_class: type[ExperimentConfig] = load(find_kind(kind).config)
    return validate(config_class, settings, where)


def validate(config_class: type[C], settings: Mapping[str, Any], where: str) -> C:
    """An instance of any configuration class. Raises UserError with one line per problem."""
    try:
        return config_class.model_validate(settings)
    except ValidationError as error:
        problems = explain(error, config_class, settings)
        if len(problems) == 1:
            raise UserError(f"{where}: {problems[0]}") from None
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more")
        raise UserError("\n  ".join([f"{where} has {len(problems)} problems:", *shown])) from None


def dump(config: ExperimentConfig) -> str:
    """YAML text from which `load_run_config` makes an equal configuration."""
    return yaml_values.render(config.model_dump(mode="json"))


def dump_changes(path: Path, config: ExperimentConfig) -> str:
    """YAML text of the settings at `path`, in which only the values that are other ones in `config` are replaced.

    Settings that the file lacks, since its version of the kind did not have them, are not added: the checkpoints of
    the run lack them too.
    """
    own = presets.read_settings(presets.read_file(path), str(path))
    stored = from_settings(own, str(path)).model_dump(mode="json")
    return yaml_values.render(presets.merge(own, _changes(stored, config.model_dump(mode="json"))))


def differences(one: BaseModel, other: BaseModel) -> list[str]:
    """Dotted keys whose values differ."""
    first, second = presets.leaves(one.model_dump(mode="json")), presets.leaves(other.model_dump(mode="json"))
    missing = object()
    return [key for key in {**first, **second} if first.get(key, missing) != second.get(key, missing)]


def derived(config: BaseModel, settings: Mapping[str, Any]) -> set[str]:
    """Dotted keys of `config` that validators computed: neither given in `settings` nor left at a default."""
    given = {key for key, value in presets.leaves(settings).items() if value is not None}
    return presets.leaves(config.model_dump(mode="json", exclude_unset=True)).keys() - given


def is_resumable(key: str) -> bool:
    """Whether a stopped run may change this dotted key."""
    return key in RESUMABLE or any(key.startswith(allowed[:-1]) for allowed in RESUMABLE if allowed[-1] == "*")


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `new` that `old` lacks or has other values for."""
    both = {key: isinstance(old.get(key), Mapping) and isinstance(value, Mapping) for key, value in new.items()}
    return {
        key: _changes(old[key], value) if both[key] else value
        for key, value in new.items()
        if key not in old or old[key] != value
    }


def _check_schema_version(version: object, where: str) -> None:
    if type(version) is int and version == SCHEMA_VERSION:
        return
    if type(version) is int and SCHEMA_VERSION < version < 1_000_000:
        raise UserError(
            f"{where} has schema version {version}, from a newer rivals-lab than this {__version__}, "
            f"which reads version {SCHEMA_VERSION}: upgrade rivals-lab to read it"
        )
    raise UserError(f"{where}: schema_version {shortened(version)} is unknown; this rivals-lab reads {SCHEMA_VERSION}")
