"""Settings whose default is the run's first budget. They stay the same when the budget is changed later."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lab.config.limits import Count

_BUDGET = TypeAdapter(Count)


def from_first_budget(settings: Any, section: str, key: str) -> Any:
    """The given settings, with `section.key` set to the budget if it is missing.

    The stored configuration of a run then holds the value. An invalid budget is left for pydantic to refuse.
    """
    if not isinstance(settings, Mapping) or not isinstance(settings.get(section, {}), Mapping):
        return settings
    given = settings.get(section, {})
    if given.get(key) is not None:
        return settings
    try:
        budget = _BUDGET.validate_python(settings.get("budget"))
    except ValidationError:
        return settings
    return {**settings, section: {**given, key: budget}}
