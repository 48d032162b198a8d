"""Search spaces on the command line: `key=choice(a, b)`, `uniform(l, h)`, `loguniform(l, h)` or `randint(l, h)`."""

import itertools
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.config import yaml_values
from lab.errors import UserError

SAMPLED = 8  # trials of a space that is no grid, unless given
_FACTORS, _RESAMPLED = (0.8, 1.2), 0.25  # of perturbed values; the share of those that are drawn anew instead
_RANGE = re.compile(r"([\w.]+)=(choice|uniform|loguniform|randint)\((.*)\)")


@dataclass(frozen=True)
class Dimension:
    """One setting and what it may be: any of `values`, or between the two of them; randint includes both."""

    key: str
    kind: str
    values: tuple[Any, ...]

    def draw(self, source: random.Random) -> Any:
        if self.kind == "choice":
            return source.choice(self.values)
        low, high = self.values
        if self.kind == "randint":
            return source.randint(low, high)
        if self.kind == "uniform":
            return source.uniform(low, high)
        return math.exp(source.uniform(math.log(low), math.log(high)))

    def perturb(self, value: Any, source: random.Random) -> Any:
        """A value near by, or now and then any (Jaderberg et al. 2017, section 4): 0.8 or 1.2 times the number, by 1 at
        least where it is whole, within the range; the choice next to it, in order of size where all are numbers."""
        if source.random() < _RESAMPLED:
            return self.draw(source)
        if self.kind == "choice":
            numbers = all(isinstance(one, int | float) for one in self.values)
            order = sorted(self.values) if numbers else list(self.values)
            at = order.index(value)
            return source.choice(order[max(0, at - 1) : at] + order[at + 1 : at + 2] or order)
        low, high = self.values
        factor = source.choice(_FACTORS)
        near = value * factor
        if self.kind == "randint":
            near = max(round(near), value + 1) if factor > 1 else min(round(near), value - 1)
        return min(max(near, low), high)


def parse(texts: Sequence[str]) -> tuple[list[Dimension], list[str]]:
    """The dimensions among KEY=VALUE texts, and the others, which are plain overrides. Raises UserError."""
    found = [(text, _RANGE.fullmatch(text)) for text in texts]
    space = [_dimension(text, match[1], match[2], match[3]) for text, match in found if match]
    keys = [dimension.key for dimension in space]
    if len(set(keys)) < len(keys):
        raise UserError(f"{next(key for key in keys if keys.count(key) > 1)} is searched twice: give it one range")
    for text, match in found:
        if not match and "(" in text:
            raise UserError(
                f"cannot read {text!r}: a range is key=choice(a, b), uniform(l, h), loguniform(l, h) or randint(l, h)"
            )
    return space, [text for text, match in found if not match]


def points(space: Sequence[Dimension], trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings of every trial: `trials` draws, or with 0 the whole grid where all are choices."""
    if not trials and all(dimension.kind == "choice" for dimension in space):
        rows = itertools.product(*(dimension.values for dimension in space))
        return [{dimension.key: value for dimension, value in zip(space, row, strict=True)} for row in rows]
    source = random.Random(seed)
    return [{dimension.key: dimension.draw(source) for dimension in space} for _ in range(trials or SAMPLED)]


def overrides(point: dict[str, Any]) -> list[str]:
    """Settings as KEY=VALUE."""
    return [f"{key}={yaml_values.render({'v': value}).removeprefix('v:').strip()}" for key, value in point.items()]


def _dimension(text: str, key: str, kind: str, inside: str) -> Dimension:
    try:
        values = yaml_values.parse(f"[{inside}]")
    except ValueError:
        raise UserError(f"cannot read {text!r}: what is in brackets is a list of values") from None
    if kind == "choice":
        if not values or not all(isinstance(value, str | int | float | bool) for value in values):
            raise UserError(f"{text}: a choice is among numbers and words, one at least")
        return Dimension(key, kind, tuple(values))
    allowed = int if kind == "randint" else (int, float)
    numbers = [value for value in values if isinstance(value, allowed) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        what = "whole numbers" if kind == "randint" else "numbers"
        raise UserError(f"{text}: {kind} wants two {what}, the lower first")
    if kind == "loguniform" and numbers[0] <= 0:
        raise UserError(f"{text}: loguniform wants numbers above 0")
    return Dimension(key, kind, tuple(numbers))
