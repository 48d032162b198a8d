"""The check of an environment at load: is it a game that a search can step, and how can it be copied?

Random games are played and recorded. They are played again in a new environment with the same seed and with others
(chance), two different moves are compared as the other player sees them (hidden information, simultaneous moves), and
each way to copy must give environments that play on as recorded and leave their originals unharmed. What fails is
refused by name. Only what random games show can be found: a rule that they never reach is not checked.
"""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from agents.environments.faults import described, name_of
from agents.environments.turns.cloning import WAYS, Clone
from agents.environments.turns.make import Make
from agents.environments.turns.reading import (
    Agents,
    Position,
    agents_of,
    begin,
    difference,
    play,
    read,
    same,
    text_of,
)
from lab.errors import UserError

_log = logging.getLogger(__name__)

REPLAY = "replay"
"""No copy: a line is played again from the start."""
_GAMES, _PLIES = 12, 300  # recorded games, and the plies after which no further one is begun
_LONGEST = 2048  # plies of a recorded game, after which it is cut off
_OTHER_SEEDS = (1, 2)  # added to the seed
_COPIED, _STEPS = 24, 1000  # positions from which each way to copy is tried, and steps after which no further one is
_FOLLOWED = 40  # plies that a copy plays on; half of the positions are so late that the end of the game is among them
_COMPARED, _EARLY = 12, 12  # positions whose moves are compared, all within so many plies


class _Untrue(Exception):
    """A copy is not what its original is."""


class Line(NamedTuple):
    """A recorded game: T moves, counted from 0, and the T + 1 positions."""

    moves: list[int]
    positions: list[Position]


@dataclass(frozen=True)
class Profile:
    """What is known of an environment that passed.

    way: how it is copied, a name of `cloning.WAYS` or `REPLAY`. seed: of every reset. longest: plies of the longest
    random game. limit: plies after which the environment truncates games; None where no random game was truncated.
    most_legal: actions of the position with most. clone_bytes: memory of a copy. untrue: why other ways were refused.
    """

    name: str
    agents: Agents
    way: str
    seed: int
    longest: int
    limit: int | None
    most_legal: int
    clone_bytes: int
    untrue: tuple[str, ...] = ()


def check(make: Make, *, seed: int = 0) -> tuple[Profile, list[Line]]:
    """Check an environment; returns what is known of it, and the recorded games.

    Raises UserError, one line that names the difference and what the environment would have to offer.
    """
    env = make()
    begin(env, seed)
    name, agents = name_of(env), agents_of(env)
    _refuse_open_spiel(env, name)
    lines = _recorded(env, agents, seed)
    _refuse_unseen(make, agents, seed, lines, name)
    if lines[0].positions[0].mask is None:
        raise UserError(
            f"environment {name} gives no action mask; it must, as 'action_mask' in the observation or the info of the "
            "agent to move"
        )
    _refuse_chance(make, agents, seed, lines, name)
    way, untrue = _true_way(make, agents, seed, lines)
    if way == REPLAY:
        _log.warning(
            "environment %s cannot be copied, so that lines are replayed, which is slower (%s); a method clone() that "
            "returns an independent environment in the same state would make it fast",
            name,
            "; ".join(untrue),
        )
    truncated = [len(line.moves) for line in lines if any(line.positions[-1].truncated)]
    masks = [position.mask for line in lines for position in line.positions if position.mask is not None]
    return Profile(
        name=name,
        agents=agents,
        way=way,
        seed=seed,
        longest=max(len(line.moves) for line in lines),
        limit=max(truncated, default=None),
        most_legal=max(int(mask.sum()) for mask in masks),
        clone_bytes=0 if way == REPLAY else _clone_bytes(make, agents, seed, lines[0], WAYS[way]),
        untrue=untrue,
    ), lines


def _recorded(env: Any, agents: Agents, seed: int) -> list[Line]:
    """Random games in one environment. Raises UserError for one that is no game of two players in turn."""
    random, lines = np.random.default_rng(seed), list[Line]()
    while len(lines) < _GAMES and sum(len(line.moves) for line in lines) < _PLIES:
        begin(env, seed)
        line = Line([], [read(env, agents)])
        _refuse_turn(line, agents, name_of(env))
        while not all(line.positions[-1].ended) and len(line.moves) < _LONGEST:
            mask = line.positions[-1].mask
            legal = np.arange(agents.actions) if mask is None else np.flatnonzero(mask)
            line.moves.append(int(random.choice(legal)))
            play(env, agents, line.moves[-1])
            line.positions.append(read(env, agents))
            _refuse_turn(line, agents, name_of(env))
        totals = np.sum([position.rewards for position in line.positions], axis=0)
        if abs(totals.sum()) > 1e-6:
            raise UserError(
                f"environment {name_of(env)} is not zero-sum: a game ended with the rewards {totals.tolist()}; what "
                "one player wins the other must lose"
            )
        lines.append(line)
    return lines


def _refuse_turn(line: Line, agents: Agents, name: str) -> None:
    position, ply = line.positions[-1], len(line.moves)
    where = text_of(line.moves, agents.start)
    if any(position.ended) != all(position.ended):
        raise UserError(f"environment {name} ends for one agent alone {where}; a game of two ends for both")
    if all(position.ended):
        return
    if position.turn != agents.names[ply % 2]:
        raise UserError(
            f"environment {name}: {position.turn} moves twice in a row {where}; players must alternate, and a turn "
            "that is left out be an action (pass)"
        )
    if position.mask is not None and not position.mask.any():
        raise UserError(f"environment {name} has no legal action {where} and does not end there")


def _refuse_open_spiel(env: Any, name: str) -> None:
    """Refuse what OpenSpiel itself says of its games."""
    kind: Any = getattr(env.unwrapped, "game_type", None)
    if not type(kind).__module__.startswith("pyspiel"):
        return
    for found, needed, said in (
        (kind.dynamics, "SEQUENTIAL", "has simultaneous moves"),
        (kind.chance_mode, "DETERMINISTIC", "has chance"),
        (kind.information, "PERFECT_INFORMATION", "has hidden information"),
        (kind.utility, "ZERO_SUM", "is not zero-sum"),
    ):
        if str(found).rpartition(".")[2] != needed:
            raise UserError(f"environment {name}: {kind.short_name} of OpenSpiel {said}, which no search here handles")


def _replayed(env: Any, agents: Agents, line: Line, start: int = 0, end: int | None = None) -> str:
    """Play a recorded line from position `start` up to `end`; returns the first difference from the record, or ""."""
    for ply in range(start, (len(line.moves) if end is None else end) + 1):
        if ply > start:
            play(env, agents, line.moves[ply - 1])
        found = difference(line.positions[ply], read(env, agents), agents)
        if found:
            return f"{found} {text_of(line.moves[:ply], agents.start)}"
    return ""


def _refuse_chance(make: Make, agents: Agents, seed: int, lines: Sequence[Line], name: str) -> None:
    fresh = make()
    for line in lines:
        begin(fresh, seed)
        if found := _replayed(fresh, agents, line):
            raise UserError(
                f"environment {name} has chance, or its reset does not begin a new game: with the same seed {found}; "
                "the same moves must lead to the same position"
            )
    for other in _OTHER_SEEDS:
        begin(fresh, seed + other)
        if found := _replayed(fresh, agents, lines[other % len(lines)]):
            raise UserError(
                f"environment {name} has chance: with another seed {found}; positions must not depend on the seed"
            )


def _refuse_unseen(make: Make, agents: Agents, seed: int, lines: Sequence[Line], name: str) -> None:
    """Refuse environments in which a move does not show to the player who moves next.

    Two moves that look alike to both players are the same move, unless all moves of a player look alike: then both
    players choose before either sees what the other did.
    """
    env, random = make(), np.random.default_rng(seed)
    alike: dict[int, list[bool]] = {0: [], 1: []}
    for number in range(_COMPARED):
        line = lines[number % len(lines)]
        ply = int(random.integers(max(1, min(len(line.moves) - 1, _EARLY)))) if number else 0
        mask = line.positions[ply].mask
        legal = np.arange(agents.actions) if mask is None else np.flatnonzero(mask)
        after = []
        for move in random.permutation(legal)[:4].tolist():
            begin(env, seed)
            for earlier in line.moves[:ply]:
                play(env, agents, earlier)
            play(env, agents, move)
            position = read(env, agents)
            if not all(position.ended):
                after.append(position)
        mover, pairs = ply % 2, list(combinations(after, 2))
        to_next = [same(one.observations[1 - mover], other.observations[1 - mover]) for one, other in pairs]
        to_mover = [same(one.observations[mover], other.observations[mover]) for one, other in pairs]
        if any(hidden and not seen for hidden, seen in zip(to_next, to_mover, strict=True)):
            raise UserError(
                f"environment {name} has hidden information: different moves of {agents.names[mover]} look the same to "
                f"{agents.names[1 - mover]} {text_of(line.moves[:ply], agents.start)}; observations must show "
                "every move"
            )
        if pairs:
            alike[mover].append(all(to_next))
    if any(found and all(found) for found in alike.values()):
        raise UserError(
            f"environment {name} has simultaneous moves: no move of a player shows before the other has moved; each "
            "move must show in the observation of the player who moves next"
        )


def _true_way(make: Make, agents: Agents, seed: int, lines: Sequence[Line]) -> tuple[str, tuple[str, ...]]:
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
        _hold(_replayed(kept, agents, line, ply, ply), "a copy differs")
        _stray(strays, agents, line, ply, random)
        _hold(_replayed(original, agents, line, ply, ply), "playing on a copy changes the original")
        again = clone(clone(kept))
        _in_turn((original, follows), agents, line, ply, end)
        _hold(_replayed(kept, agents, line, ply, end), "playing on the original or a copy changes another copy")
        _hold(_replayed(again, agents, line, ply, end), "a copy of a copy differs")
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


def _clone_bytes(make: Make, agents: Agents, seed: int, line: Line, clone: Callable[[Any], Any]) -> int:
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
