"""Ways to copy an environment. None is believed: `agents.environments.turns.fidelity` tries them and takes a true one.

`copy.deepcopy` alone is a trap. Most environments inherit from Gymnasium's EzPickle, which pickles the arguments of the
constructor: deepcopy of such an environment is a new one, without a word (PettingZoo issues 1271 and 1307).
"""

from __future__ import annotations

import copy
import enum
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Space
from gymnasium.utils import EzPickle

Clone = Callable[[Any], Any]
"""env -> an environment in the same state, of which no change shows in `env`, nor the other way round."""

_UNCHANGEABLE = {
    *(bool, int, float, complex, str, bytes, range, type(None), type(Ellipsis), slice),
    *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, np.dtype, enum.EnumMeta),
}
_SHARED = {"Surface", "Clock", "Font", "Window"}
"""Types of pygame that cannot be copied: they show a position and are no part of it."""


def by_its_own_clone(env: Any) -> Any:
    """`env.clone()`, the contract: an independent environment in the same state."""
    method = getattr(env, "clone", None)
    if not callable(method):
        raise TypeError("it has no method clone()")
    return method()


def by_attributes(env: Any) -> Any:
    """A new object of each class with copies of the attributes, past EzPickle and what is shared."""
    return copied(env, {})


def by_deepcopy(env: Any) -> Any:
    """`copy.deepcopy`, for environments that copy themselves truly."""
    return copy.deepcopy(env)


WAYS: dict[str, Clone] = {"clone": by_its_own_clone, "attributes": by_attributes, "deepcopy": by_deepcopy}
"""Ways to copy in the order in which they are tried."""


def copied(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of an attribute; memo: copies by the id of their originals, so that what is shared inside stays shared."""
    kind = type(value)
    if kind in _UNCHANGEABLE:
        return value
    known = memo.get(id(value))
    if known is not None:
        return known
    made: Any
    if kind is list:
        if _UNCHANGEABLE.issuperset(map(type, value)):
            memo[id(value)] = made = value.copy()
            return made
        memo[id(value)] = made = []
        made.extend(copied(item, memo) for item in value)
        return made
    if kind in (dict, OrderedDict):
        memo[id(value)] = made = kind()
        for key, item in value.items():
            made[copied(key, memo)] = copied(item, memo)
        return made
    if kind is np.ndarray and value.dtype.kind != "O":
        memo[id(value)] = made = value.copy()
        return made
    if kind is tuple:
        made = tuple([copied(item, memo) for item in value])
        return value if all(one is other for one, other in zip(value, made, strict=True)) else made
    if isinstance(value, np.generic | enum.Enum | Space | type | types.ModuleType) or _is_shared(kind):
        return value
    return _object(value, kind, memo)


def _object(value: Any, kind: type, memo: dict[int, Any]) -> Any:
    if kind is types.MethodType:
        # A method of the environment that it keeps in an attribute must be that of the copy.
        return types.MethodType(value.__func__, copied(value.__self__, memo))
    if kind.__module__.partition(".")[0] in ("pyspiel", "open_spiel"):
        # Games are unchangeable and states copy themselves; the package gives both pickles that lose information.
        made = value.clone() if hasattr(value, "clone") else value
        memo[id(value)] = made
        return made
    if _is_plain(kind):
        memo[id(value)] = made = object.__new__(kind)
        for name, item in vars(value).items():
            made.__dict__[name] = copied(item, memo)
        return made
    made = copy.deepcopy(value, memo)
    memo[id(value)] = made
    return made


def _is_shared(kind: type) -> bool:
    return kind.__name__ in _SHARED and kind.__module__.partition(".")[0] == "pygame"


def _is_plain(kind: type) -> bool:
    """Whether all of an object's state is in its `__dict__`, or would be but for EzPickle, which hides it."""
    cached = _PLAIN.get(kind)
    if cached is None:
        special = ("__deepcopy__", "__copy__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
        own = any(getattr(kind, name, None) is not getattr(object, name, None) for name in special)
        ez = issubclass(kind, EzPickle)
        own = own or (not ez and hasattr(kind, "__setstate__"))
        own = own or (not ez and getattr(kind, "__getstate__", None) is not getattr(object, "__getstate__", None))
        slots = any("__slots__" in vars(base) for base in kind.__mro__ if base.__module__ not in _WITHOUT_SLOTS)
        builtin = issubclass(kind, list | dict | set | frozenset | tuple | deque | defaultdict | str | int | float)
        heap = bool(kind.__flags__ & 1 << 9)  # made by a class statement, not in C
        # EzPickle's own __getstate__ is what must be passed by; an environment that overrides it is copied by deepcopy.
        if ez:
            own = own or getattr(kind, "__getstate__", None) is not getattr(EzPickle, "__getstate__", None)
        cached = _PLAIN[kind] = heap and not own and not slots and not builtin and hasattr(kind, "__dict__")
    return cached


_PLAIN: dict[type, bool] = {}
_WITHOUT_SLOTS = {"typing", "abc", "collections.abc", "_collections_abc", "builtins"}
"""Modules of base classes whose empty `__slots__` hold nothing."""
