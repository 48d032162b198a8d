"""Reading and writing YAML 1.2 values with PyYAML, which implements YAML 1.1.

Differences that matter in a configuration: `1e-3` is a number, `on`, `off`, `yes` and `no` are text, `010` is ten,
dates are text, a repeated key is an error, and there are no types but those of JSON. A document is bounded in length,
nesting and the number of its values, those behind aliases included: a few lines of aliases would stand for billions.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Any, ClassVar

import yaml

from lab.config.suggestions import shortened
from lab.errors import UserError

# (tag, pattern, first characters), https://yaml.org/spec/1.2.2/#103-core-schema; `1_000` is our extension.
_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
)


LARGEST_TEXT = 1_000_000
"""Characters of a document, at most; `lab config` prints about 15,000."""
_DEEPEST = 32
_MOST_VALUES = 20_000
_LONGEST_NUMBER = 64  # characters; a float64 needs 25


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 (declared so by PyYAML)
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._deepest = self._values = 0
        self._extent: dict[str, tuple[int, int]] = {}  # values and levels behind each anchor that is complete

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        anchor = event.anchor
        values, levels = 1, 0
        if isinstance(event, yaml.AliasEvent):
            if anchor in self.anchors and anchor not in self._extent:
                raise _mistake(f"*{anchor:.80} refers to what it is a part of", event)
            values, levels = self._extent.get(anchor, (1, 0))
        self._depth, self._values = self._depth + 1, self._values + values
        if self._depth + levels > _DEEPEST:
            raise _mistake(f"nested more than {_DEEPEST} levels deep", event)
        if self._values > _MOST_VALUES:
            raise _mistake(f"more than {_MOST_VALUES:,} values, those behind aliases included", event)
        before, deepest = self._values, self._deepest
        self._deepest = self._depth + levels
        node = super().compose_node(parent, index)
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._extent[anchor] = (self._values - before + 1, self._deepest - self._depth)
        self._deepest = max(deepest, self._deepest)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    # The resolvers of YAML 1.1 are kept too: text that either version would misread is quoted.
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = _number(loader, node)
    try:
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    except ValueError:
        raise _mistake(f"{text!r} is not an integer", node) from None


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = _number(loader, node)
    try:
        return float(loader.construct_yaml_float(node))
    except ValueError:
        raise _mistake(f"{text!r} is not a number", node) from None


def _number(loader: _Loader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    if len(text) > _LONGEST_NUMBER:
        raise _mistake(f"a number of {len(text):,} characters", node)
    return text


def _boolean(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = str(loader.construct_scalar(node)).lower()
    if text not in ("true", "false"):
        raise _mistake(f"{shortened(text)} is neither true nor false", node)
    return text == "true"


def _unknown(loader: _Loader, node: yaml.Node) -> Any:
    raise _mistake(f"a configuration has no values of type {shortened(node.tag)}", node)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _mistake("keys and values are expected here", node)
    seen: set[Hashable] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, Hashable):
            raise _mistake("a key must be plain text", key_node)
        if key in seen:
            raise _mistake(f"{shortened(key)} is given twice", key_node)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _mistake(problem: str, node: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = node.start_mark
    return yaml.constructor.ConstructorError(None, None, problem, mark)


for _tag, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))
_CONSTRUCTORS: dict[str, Any] = {
    "null": _Loader.construct_yaml_null,
    "bool": _boolean,
    "int": _integer,
    "float": _float,
    "str": _Loader.construct_yaml_str,
    "seq": _Loader.construct_yaml_seq,
    "map": _mapping,
}
for _tag, _constructor in _CONSTRUCTORS.items():
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _constructor)
_Loader.add_constructor(None, _unknown)


def parse(text: str) -> Any:
    """The value of a YAML document. Raises ValueError, one line with the position, if it is no YAML or too large."""
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"{len(text):,} characters; a configuration has at most {LARGEST_TEXT:,}")
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context or 'not YAML':.200}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None


def render(value: Any) -> str:
    """YAML text that `parse` reads back as an equal value; keys keep their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def parse_options(texts: Iterable[str], of: str, example: str) -> dict[str, Any]:
    """Options by name from texts such as size=9. of, example: for messages. Raises UserError."""
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise UserError(f"{text!r} is no option of {of}; write OPTION=VALUE, such as {example}")
        try:
            values[name] = parse(value)
        except ValueError as error:
            raise UserError(f"option {name}: {error}") from None
    return values
