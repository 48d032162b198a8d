"""Recorded random games: what an environment showed, against which it and its copies are compared later."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agents.environments.faults import name_of
from agents.environments.turns.reading import Agents, Position, begin, difference, play, read, text_of
from lab.errors import UserError

_GAMES, _PLIES = 12, 300  # recorded games, and the plies after which no further one is begun
_LONGEST = 2048  # plies of a recorded game, after which it is cut off


class Line(NamedTuple):
    """A recorded game: T moves, counted from 0, and the T + 1 positions."""

    moves: list[int]
    positions: list[Position]


def record(env: Any, agents: Agents, seed: int) -> list[Line]:
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


def replayed(env: Any, agents: Agents, line: Line, start: int = 0, end: int | None = None) -> str:
    """Play a recorded line from position `start` up to `end`; returns the first difference from the record, or ""."""
    for ply in range(start, (len(line.moves) if end is None else end) + 1):
        if ply > start:
            play(env, agents, line.moves[ply - 1])
        found = difference(line.positions[ply], read(env, agents), agents)
        if found:
            return f"{found} {text_of(line.moves[:ply], agents.start)}"
    return ""


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
