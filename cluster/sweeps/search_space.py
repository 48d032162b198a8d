"""Search spaces on the command line: `key=choice(a, b)`, `uniform(l, h)`, `loguniform(l, h)` or `randint(l, h)`."""

import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.config import yaml_values
from lab.config.suggestions import shortened
from lab.errors import UserError

DEFAULT_TRIALS = 8  # of a space that is not a grid
_PERTURBATION_FACTORS, _RESAMPLE_PROBABILITY = (0.8, 1.2), 0.25
_RANGE = re.compile(r"([\w.]+)=(choice|uniform|loguniform|randint)\((.*)\)")


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter and its distribution: a choice of `values`, or a range between two of them, both included."""

    key: str
    distribution: str
    values: tuple[Any, ...]

    def sample(self, source: random.Random) -> Any:
        """A value of the distribution."""
        if self.distribution == "choice":
            return source.choice(self.values)
        low, high = self.values
        if self.distribution == "randint":
            return source.randint(low, high)
        if self.distribution == "uniform":
            return source.uniform(low, high)
        return math.exp(source.uniform(math.log(low), math.log(high)))

    def perturb(self, value: Any, source: random.Random) -> Any:
        """A value near `value`, or with probability 0.25 a new sample (Jaderberg et al. 2017, section 4).

        A number is multiplied by 0.8 or 1.2, an integer changes by at least 1; both stay in the range. A choice becomes
        one of its neighbours, in numerical order if all choices are numbers.
        """
        if source.random() < _RESAMPLE_PROBABILITY:
            return self.sample(source)
        if self.distribution == "choice":
            numeric = all(isinstance(one, int | float) for one in self.values)
            order = sorted(self.values) if numeric else list(self.values)
            index = order.index(value)
            return source.choice(order[max(0, index - 1) : index] + order[index + 1 : index + 2] or order)
        low, high = self.values
        factor = source.choice(_PERTURBATION_FACTORS)
        near = value * factor
        if self.distribution == "randint":
            near = max(round(near), value + 1) if factor > 1 else min(round(near), value - 1)
        return min(max(near, low), high)


def parse(texts: Sequence[str]) -> tuple[list[Dimension], list[str]]:
    """Split KEY=VALUE texts into dimensions of the search space and plain overrides. Raises UserError."""
    matches = [(text, _RANGE.fullmatch(text)) for text in texts]
    space = [_dimension(text, match[1], match[2], match[3]) for text, match in matches if match]
    keys = [dimension.key for dimension in space]
    if len(set(keys)) < len(keys):
        raise UserError(f"{next(key for key in keys if keys.count(key) > 1)} has two ranges: give one")
    for text, match in matches:
        if not match and "(" in text:
            raise UserError(
                f"cannot read {shortened(text)}: a range is key=choice(a, b), uniform(l, h), loguniform(l, h) or "
                "randint(l, h)"
            )
    return space, [text for text, match in matches if not match]


def sample_trials(space: Sequence[Dimension], trials: int | None, seed: int) -> list[dict[str, Any]]:
    """Settings of each trial: `trials` samples; by default the grid if all dimensions are choices, else 8 samples."""
    if trials is None and all(dimension.distribution == "choice" for dimension in space):
        rows = itertools.product(*(dimension.values for dimension in space))
        return [{dimension.key: value for dimension, value in zip(space, row, strict=True)} for row in rows]
    source = random.Random(seed)
    count = DEFAULT_TRIALS if trials is None else trials
    return [{dimension.key: dimension.sample(source) for dimension in space} for _ in range(count)]


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """Settings as KEY=VALUE."""
    return [f"{key}={yaml_values.render({'v': value}).removeprefix('v:').strip()}" for key, value in settings.items()]


def _dimension(text: str, key: str, distribution: str, arguments: str) -> Dimension:
    try:
        values = yaml_values.parse(f"[{arguments}]")
    except ValueError:
        raise UserError(f"cannot read {shortened(text)}: give a list of values in the parentheses") from None
    if distribution == "choice":
        if not values or not all(isinstance(value, str | int | float | bool) for value in values):
            raise UserError(f"{text}: choice takes at least one value; values are numbers and words")
        return Dimension(key, distribution, tuple(values))
    allowed = int if distribution == "randint" else (int, float)
    numbers = [value for value in values if isinstance(value, allowed) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        what = "integers" if distribution == "randint" else "numbers"
        raise UserError(f"{text}: {distribution} takes two {what}, the lower first")
    if distribution == "loguniform" and numbers[0] <= 0:
        raise UserError(f"{text}: loguniform takes numbers above 0")
    return Dimension(key, distribution, tuple(numbers))
