"""Settings that follow from the budget a run is created with, and stay when its budget is changed later."""

from collections.abc import Mapping
from typing import Any

from pydantic import PositiveInt, TypeAdapter, ValidationError

_BUDGET = TypeAdapter(PositiveInt)


def from_first_budget(settings: Any, section: str, key: str) -> Any:
    """Settings as given to a configuration, with the budget at `section.key` where nothing is.

    The stored configuration of a run then has a value of its own there. What is no valid budget is left to be refused.
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
