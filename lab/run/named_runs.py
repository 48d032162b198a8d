"""Absolute paths of the runs that a configuration names, for commands that run in another directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from lab.config.loading import load_preset
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run.lookup import find_run


@runtime_checkable
class NamesRuns(Protocol):
    """A configuration that may name other runs, at these dotted keys; "" names none."""

    names_runs: ClassVar[tuple[str, ...]]


def load_by_path(preset: str, overrides: Sequence[str], runs_dir: Path) -> ExperimentConfig:
    """The preset's configuration, in which named runs are absolute paths. Raises UserError as `by_path`."""
    return load_preset(preset, by_path(preset, overrides, runs_dir))


def by_path(preset: str, overrides: Sequence[str], runs_dir: Path) -> list[str]:
    """The overrides, and after them an override with the absolute path of every run that the configuration names.

    Raises UserError for a run that is neither in `runs_dir` nor at a path.
    """
    config = load_preset(preset, overrides)
    found = []
    for key in config.names_runs if isinstance(config, NamesRuns) else ():
        name = attrgetter(key)(config)
        if not name:
            continue
        try:
            path = find_run(name, runs_dir).resolve()
        except UserError as error:
            raise UserError(f"{key}: {error}") from None
        found.append(f"{key}={json.dumps(str(path), ensure_ascii=False)}")
    return [*overrides, *found]
