"""Finds a true way to copy an environment: each is tried against recorded games, and none is believed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from agents.environments.faults import described
from agents.environments.turns.cloning import WAYS, Clone
from agents.environments.turns.make import Make
from agents.environments.turns.reading import Agents, begin, difference, play, read, text_of
from agents.environments.turns.recorded import Line, replayed

REPLAY = "replay"
"""No copy: a line is played again from the start."""
_COPIED, _STEPS = 24, 1000  # positions from which each way to copy is tried, and steps after which no further one is
_FOLLOWED = 40  # plies that a copy plays on; half of the positions are so late that the end of the game is among them


class _Untrue(Exception):
    """A copy is not what its original is."""


def true_way(make: Make, agents: Agents, seed: int, lines: Sequence[Line]) -> tuple[str, tuple[str, ...]]:
    """The first true way to copy, `REPLAY` for none, and what was wrong with the ones before it."""
    untrue = []
    for way, clone in WAYS.items():
        if way == "clone" and not callable(getattr(make(), "clone", None)):
            continue  # it is offered by few
        try:
            _try(make, agents, seed, lines, clone)
        except _Untrue as error:
            untrue.append(f"by {way} {error}")
        except (Exception, SystemExit) as error:
            untrue.append(f"by {way} it raises {described(error)}")
        else:
            return way, tuple(untrue)
    return REPLAY, tuple(untrue)


def clone_bytes(make: Make, agents: Agents, seed: int, line: Line, clone: Callable[[Any], Any]) -> int:
    """Bytes of a copy of the position in the middle of a game."""
    env = make()
    begin(env, seed)
    for move in line.moves[: len(line.moves) // 2]:
        play(env, agents, move)
    copies: list[Any] = [clone(env)]
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    copies.extend(clone(env) for _ in range(8))
    found = tracemalloc.get_traced_memory()[0] - before
    if not tracing:
        tracemalloc.stop()
    return max(256, found // 8)


def _try(make: Make, agents: Agents, seed: int, lines: Sequence[Line], clone: Clone) -> None:
    """Raise _Untrue unless copies play on as recorded, also in turn with their originals, which stay as they are."""
    random, steps = np.random.default_rng(seed), 0
    for number in range(_COPIED):
        line = lines[number % len(lines)]
        ply = int(random.integers(max(0, len(line.moves) - _FOLLOWED) if number % 2 else 0, len(line.moves)))
        end = min(len(line.moves), ply + _FOLLOWED)
        original = make()
        begin(original, seed)
        for move in line.moves[:ply]:
            play(original, agents, move)
        kept, strays, follows = clone(original), clone(original), clone(original)
        _hold(replayed(kept, agents, line, ply, ply), "a copy differs")
        _stray(strays, agents, line, ply, random)
        _hold(replayed(original, agents, line, ply, ply), "playing on a copy changes the original")
        again = clone(clone(kept))
        _in_turn((original, follows), agents, line, ply, end)
        _hold(replayed(kept, agents, line, ply, end), "playing on the original or a copy changes another copy")
        _hold(replayed(again, agents, line, ply, end), "a copy of a copy differs")
        steps += ply + 4 * (end - ply)
        if steps > _STEPS and number:
            return


def _stray(env: Any, agents: Agents, line: Line, ply: int, random: np.random.Generator) -> None:
    """Play other moves than the record's on a copy, until it ends or a few plies."""
    for step in range(8):
        position = read(env, agents)
        if all(position.ended) or position.mask is None or not position.mask.any():
            return
        legal = np.flatnonzero(position.mask)
        others = legal[legal != line.moves[ply]] if step == 0 and len(legal) > 1 else legal
        play(env, agents, int(random.choice(others)))
    begin(env, 0)  # a reset of a copy is no business of the original's either


def _in_turn(envs: tuple[Any, Any], agents: Agents, line: Line, ply: int, end: int) -> None:
    """The original and a copy of it play the line on, a ply each in turn: what they share would show."""
    for at in range(ply, end):
        for env, what in zip(envs, ("the original beside a copy", "a copy beside its original"), strict=True):
            play(env, agents, line.moves[at])
            found = difference(line.positions[at + 1], read(env, agents), agents)
            _hold(f"{found} {text_of(line.moves[: at + 1], agents.start)}" if found else "", f"{what} differs")


def _hold(found: str, what: str) -> None:
    if found:
        raise _Untrue(f"{what}: {found}")
