"""Rivals: the shared core (networks, configuration, run loop, checkpoints, tracking, command line).

The names of `lab.api` are available here: `lab.train_preset`, `lab.open_run`, `lab.list_presets` ...
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing`, which is slow to import: `lab` handles signals as early as it can
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.6.0"

_API = ("Run", "list_presets", "list_runs", "open_run", "preset_config", "train_preset")


def __getattr__(name: str) -> Any:
    # Imported on use: `import lab` stays light, and lower layers do not depend on the API.
    if name in _API:
        from importlib import import_module

        return getattr(import_module("lab.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
