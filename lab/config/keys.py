"""Every key of a configuration class with its type, default and meaning: for `lab config`, completion and the docs."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_NAMES = {int: "int", float: "float", str: "str", bool: "bool", type(None): "null", Any: "any"}
SCHEDULE = "schedule"
_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


@dataclass(frozen=True)
class Key:
    """One key of a configuration.

    key: dotted. type: in words. default: a plain value; `required` is true where there is none. description: from the
    field. variant: the `name` that the section must have for this key to exist, "" where it always does. section:
    the key holds other keys. section_help: first lines of the section's docstring.
    """

    key: str
    type: str
    default: Any
    required: bool
    description: str
    variant: str = ""
    section: bool = False
    section_help: str = ""


def keys_of(config_class: type[BaseModel]) -> list[Key]:
    """All keys of a configuration class in the order of declaration; a section comes before its keys."""
    return list(_walk(config_class, "", ""))


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Every configuration class inside an annotation such as `Noise | None` or `list[Stage]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in sections_in(argument)]


def type_text(annotation: Any, metadata: typing.Sequence[Any] = ()) -> str:
    """A type in words: "int > 0", "relu | tanh", "list of float", "int > 0 or null"."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return type_text(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        text = " | ".join(_plain(value) for value in arguments)
    elif origin in (typing.Union, types.UnionType):
        text = " or ".join(dict.fromkeys(type_text(argument) for argument in arguments))
    elif origin in (tuple, list):
        text = f"list of {type_text(arguments[0])}"
    elif origin in (dict, Mapping):
        text = f"mapping of {type_text(arguments[0])} to {type_text(arguments[1])}"
    elif sections_in(annotation):
        text = annotation.__name__.lower() if isinstance(annotation, type) else "section"
    else:
        text = _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))
    bounds = [
        f"{sign} {limit:,}" if isinstance(limit, int) else f"{sign} {limit:g}"
        for item in metadata
        for name, sign in _BOUNDS
        if (limit := _bound(item, name)) is not None
    ]
    return f"{text} {' and '.join(bounds)}" if bounds else text


def _walk(config_class: type[BaseModel], prefix: str, variant: str) -> Iterator[Key]:
    for name, field in config_class.model_fields.items():
        sections = sections_in(field.annotation)
        scheduled = bool(sections) and _takes_a_value(field.annotation)
        yield _key(prefix + name, field, variant, [] if scheduled else sections)
        for section in sections:
            own = SCHEDULE if scheduled else _name_of(section) if len(sections) > 1 else ""
            yield from _walk(section, f"{prefix}{name}.", own or variant)


def _takes_a_value(annotation: Any) -> bool:
    """Whether an annotation takes a plain value in place of a section, such as a number or a schedule."""
    if typing.get_origin(annotation) is Annotated:
        return _takes_a_value(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_takes_a_value(argument) for argument in typing.get_args(annotation))
    return annotation is not type(None) and not sections_in(annotation)


def _key(key: str, field: FieldInfo, variant: str, sections: list[type[BaseModel]]) -> Key:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        default = default.model_dump(mode="json")
    return Key(
        key=key,
        type="section" if sections else type_text(field.annotation, field.metadata),
        default=default,
        required=field.is_required(),
        description=field.description or "",
        variant=variant,
        section=bool(sections),
        section_help=" ".join((sections[0].__doc__ or "").split("\n\n")[0].split()) if len(sections) == 1 else "",
    )


def _name_of(section: type[BaseModel]) -> str:
    """The value of `name` by which a section of a union is chosen."""
    field = section.model_fields.get("name")
    return str(field.default) if field is not None and isinstance(field.default, str) else ""


def _bound(item: Any, name: str) -> float | None:
    """The bound that a constraint states, alone or in a nested `Field`; None without one."""
    value = getattr(item, name, None)
    if value is None and isinstance(item, FieldInfo):
        return next((found for inner in item.metadata if (found := _bound(inner, name)) is not None), None)
    return value if isinstance(value, int | float) else None


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
