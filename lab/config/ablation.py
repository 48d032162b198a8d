"""Switches of a kind of experiment, which `lab ablate` turns on and off one at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import yaml

from lab.config.suggestions import did_you_mean
from lab.errors import UserError

_OVERRIDE = re.compile(r"[a-z_][\w.]*=")
_BEFORE_KEY = re.compile(r"\s+(?=[a-z_][\w.]*=)")  # values may have spaces


@dataclass(frozen=True)
class Switch:
    """Settings that turn one idea on.

    overrides: `key=value`, as on the command line. source: paper and section, or the project, of the idea.
    progress: progress of the budget's counter per unit of cost, relative to a run without the switch. The budget and
    with it the learning-rate schedule are scaled by it, so that both runs end after about the same cost.
    needs: key and value of a setting without which the switch has no effect; None for none.
    off: `key=value` that turn the idea off in presets that have it: in those where the first key has another value.
    """

    overrides: Sequence[str]
    source: str = ""
    progress: float = 1.0
    needs: tuple[str, str] | None = None
    off: Sequence[str] = ()

    def applies(self, config: object) -> bool:
        """Whether the switch has an effect in runs of a configuration."""
        return self.needs is None or attrgetter(self.needs[0])(config) == self.needs[1]

    def off_in(self, config: object) -> Sequence[str]:
        """What turns the idea off in runs of a configuration; nothing where it is off already."""
        if not self.off:
            return ()
        key, _, value = self.off[0].partition("=")
        return self.off if attrgetter(key)(config) != yaml.safe_load(value) else ()


@dataclass(frozen=True)
class Ablation:
    """What can be switched in experiments of a kind.

    progress: the counter that the budget limits. cost: the counter at equal values of which runs are compared.
    """

    progress: str
    cost: str
    switches: Mapping[str, Switch] = field(default_factory=dict)


def choose(known: Mapping[str, Switch], named: Sequence[str], own: Sequence[str]) -> dict[str, Switch]:
    """The switches of these names, and those written as "NAME: KEY=VALUE KEY=VALUE". Raises UserError."""
    found: dict[str, Switch] = {}
    for name in named:
        if name not in known:
            raise UserError(f"unknown switch {name!r}; {did_you_mean(name, known)}")
        found[name] = known[name]
    for text in own:
        name, _, rest = text.partition(":")
        name, overrides = name.strip(), _BEFORE_KEY.split(rest.strip())
        if not name.replace("_", "").replace("-", "").isalnum() or not all(_OVERRIDE.match(one) for one in overrides):
            raise UserError(f"cannot read the switch {text!r}; write NAME: KEY=VALUE KEY=VALUE")
        if name in found:
            raise UserError(f"two switches are named {name!r}; give each another name")
        found[name] = Switch(overrides)
    return found
