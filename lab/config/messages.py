"""Pydantic's validation errors as one line each: the dotted key, the problem, the nearest known key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from lab.config.keys import sections_in
from lab.config.suggestions import did_you_mean, nearest, shortened

Path = tuple[str | int, ...]
_LONGEST = 600  # characters of a line
_WRONG_TYPE = "Input should be a valid "
_DETAIL = re.compile(r", (?:unable to|got) .*")  # how pydantic tried to convert the value


def explain(error: ValidationError, config_class: type[BaseModel], settings: Mapping[str, Any]) -> list[str]:
    """One line per problem, in the order of the settings' fields, without repetition."""
    problems = error.errors(include_url=False)
    # pydantic also counts the elements of a list without the invalid ones.
    inside = {problem["loc"][:-1] for problem in problems}
    problems = [one for one in problems if one["type"] != "too_short" or one["loc"] not in inside]
    problems = _without_union_members(problems, settings)
    lines = [_line(problem, config_class, settings) for problem in problems]
    return [line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..." for line in dict.fromkeys(lines)]


def _without_union_members(problems: Sequence[Any], settings: Mapping[str, Any]) -> list[Any]:
    """One problem for each value that is of none of the types that its key takes; pydantic has one for each type."""
    by_key: dict[tuple[Path, bool], list[Any]] = {}
    for problem in problems:
        by_key.setdefault((_in_settings(problem["loc"], settings), _is_wrong_type(problem)), []).append(problem)
    merged = []
    for (_, wrong_type), same in by_key.items():
        finite = next((problem for problem in same if problem["type"] == "finite_number"), None)
        if finite is not None:
            merged.append(finite)  # a number, but for this
        elif wrong_type and len(same) > 1:
            *types, last = [_DETAIL.sub("", problem["msg"].removeprefix(_WRONG_TYPE)) for problem in same]
            merged.append(same[0] | {"type": "union", "msg": f"{_WRONG_TYPE}{', '.join(types)} or {last}"})
        else:
            merged += same
    return merged


def _is_wrong_type(problem: Any) -> bool:
    return bool(problem["msg"].startswith(_WRONG_TYPE)) or problem["type"] == "finite_number"


def _line(problem: Any, config_class: type[BaseModel], settings: Mapping[str, Any]) -> str:
    kind, message = problem["type"], problem["msg"]
    path = _in_settings(problem["loc"], settings)
    dotted = ".".join(map(str, path))
    key = shortened(dotted)[1:-1]
    if kind == "extra_forbidden":
        hint = _no_space_after_colon(path) or _nearest_key(path, config_class, settings)
        return f"unknown key {shortened(dotted)}; {hint}"
    if kind == "missing":
        return f"{'.'.join(map(str, (*path, problem['loc'][-1])))} is missing: give it a value"
    if kind == "union_tag_invalid":  # sections that are distinguished by their name
        known = re.findall(r"'(\w[\w-]*)'", problem["ctx"]["expected_tags"])
        return f"{key}.name: no {shortened(problem['ctx']['tag'])}; {did_you_mean(problem['ctx']['tag'], known)}"
    if kind == "union_tag_not_found":
        return f"{key} is a section with a name: set {key}.name"
    if kind == "value_error":
        message = str(problem["ctx"]["error"])
        if key and not message.startswith("should "):
            return f"{key}: {message}"
        return f"{key} {message}" if key else message
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{key} is a section: set its keys, as in {key}.name=value, not {key}={shortened(problem['input'])}"
    if message.startswith("Input "):
        message = _DETAIL.sub("", message.removeprefix("Input "))
    else:
        message = message[0].lower() + message[1:]
    return f"{key} {message}, not {shortened(problem['input'])}"


def _in_settings(location: Sequence[str | int], settings: Any) -> Path:
    """The part of pydantic's location that is in the settings, without the names of union members."""
    path: list[str | int] = []
    for part in location:
        is_element = isinstance(settings, list) and isinstance(part, int) and part < len(settings)
        inside = part in settings if isinstance(settings, Mapping) else is_element
        if inside:
            settings = settings[part]
            path.append(part)
    return tuple(path)


def _no_space_after_colon(path: Path) -> str:
    """YAML reads `{name:value}` as one key without a value."""
    name, colon, value = str(path[-1]).partition(":")
    return f"YAML wants a space after the colon: {{{name}: {shortened(value)[1:-1]}}}" if colon and value else ""


def _nearest_key(path: Path, config_class: type[BaseModel], settings: Mapping[str, Any]) -> str:
    """The sibling most like the last part, else a key of that name elsewhere, else all siblings.

    A key of the section under another name says that name. Sections with free keys, such as a game's options, have
    those of the settings.
    """
    *section_path, last = path
    prefix = "".join(f"{part}." for part in section_path)
    sections = _sections(config_class, section_path)
    siblings = [prefix + name for section in sections for name in section.model_fields]
    everywhere = dict.fromkeys(_keys(config_class))
    by_name = {key.rpartition(".")[2]: key for key in everywhere}
    names = [name for section in sections if last in section.model_fields for name in _names(section)]
    if names:
        return f"it belongs to {' or '.join(f'{prefix}name={name}' for name in names)}"
    near_sibling = nearest(str(last), [key.rpartition(".")[2] for key in siblings])
    if near_sibling is not None:
        return f"did you mean {prefix + near_sibling!r}?"
    given = next((k for k in _given_keys(settings) if k.rpartition(".")[2] == last and k != f"{prefix}{last}"), None)
    if given is not None and last not in by_name:
        return f"did you mean {given!r}?"
    elsewhere = nearest(str(last), by_name)
    if elsewhere is not None:
        return f"did you mean {by_name[elsewhere]!r}?"
    return did_you_mean(".".join(map(str, path)), siblings)


def _sections(config_class: type[BaseModel], path: Sequence[str | int]) -> list[type[BaseModel]]:
    """The configuration classes that can stand at `path`."""
    classes = [config_class]
    for part in path:
        if isinstance(part, int):  # an element of a list has the classes of the list
            continue
        fields = [cls.model_fields[part].annotation for cls in classes if part in cls.model_fields]
        classes = [model for annotation in fields for model in sections_in(annotation)]
    return classes


def _names(section: type[BaseModel]) -> tuple[Any, ...]:
    """The names by which a configuration selects this class of section; none where it has no such key."""
    field = section.model_fields.get("name")
    return get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()


def _given_keys(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys of nested settings."""
    for name, value in settings.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _given_keys(value, f"{prefix}{name}.")


def _keys(config_class: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in config_class.model_fields.items():
        yield prefix + name
        for model in sections_in(field.annotation):
            yield from _keys(model, f"{prefix}{name}.")
