"""The check of an environment at load: is it a game that a search can step, and how can it be copied?

Random games are played and recorded. They are played again in a new environment with the same seed and with others
(chance), two different moves are compared as the other player sees them (hidden information, simultaneous moves), and
each way to copy must give environments that play on as recorded and leave their originals unharmed. What fails is
refused by name. Only what random games show can be found: a rule that they never reach is not checked.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from agents.environments.faults import name_of
from agents.environments.turns.cloning import WAYS
from agents.environments.turns.copies import REPLAY, clone_bytes, true_way
from agents.environments.turns.make import Make
from agents.environments.turns.reading import Agents, agents_of, begin, play, read, same, text_of
from agents.environments.turns.recorded import Line, record, replayed
from lab.errors import UserError

_log = logging.getLogger(__name__)

_OTHER_SEEDS = (1, 2)  # added to the seed
_COMPARED, _EARLY = 12, 12  # positions whose moves are compared, all within so many plies


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
    lines = record(env, agents, seed)
    _refuse_unseen(make, agents, seed, lines, name)
    if lines[0].positions[0].mask is None:
        raise UserError(
            f"environment {name} gives no action mask; it must, as 'action_mask' in the observation or the info of the "
            "agent to move"
        )
    _refuse_chance(make, agents, seed, lines, name)
    way, untrue = true_way(make, agents, seed, lines)
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
        clone_bytes=0 if way == REPLAY else clone_bytes(make, agents, seed, lines[0], WAYS[way]),
        untrue=untrue,
    ), lines


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


def _refuse_chance(make: Make, agents: Agents, seed: int, lines: Sequence[Line], name: str) -> None:
    fresh = make()
    for line in lines:
        begin(fresh, seed)
        if found := replayed(fresh, agents, line):
            raise UserError(
                f"environment {name} has chance, or its reset does not begin a new game: with the same seed {found}; "
                "the same moves must lead to the same position"
            )
    for other in _OTHER_SEEDS:
        begin(fresh, seed + other)
        if found := replayed(fresh, agents, lines[other % len(lines)]):
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
