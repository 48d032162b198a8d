"""Positions of an environment by their lines of moves: copies of live environments, the most recently used ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.environments.faults import name_of
from agents.environments.observations import MASK
from agents.environments.turns.cloning import WAYS
from agents.environments.turns.copies import REPLAY
from agents.environments.turns.encoding import Code, PlaneEncoder
from agents.environments.turns.fidelity import Profile
from agents.environments.turns.make import Make
from agents.environments.turns.reading import begin, flags, mask_of, observed, play, rewards_of, text_of
from lab.errors import UserError

_CACHE_BYTES = 2**28
_MOST_CACHED, _LEAST_CACHED = 2**15, 2**8
_ENTRY = 800  # bytes of an entry's objects
_SUM = 1e-6  # of the two players' rewards, which are zero-sum


class Rows(NamedTuple):
    """N positions as the player to move sees them.

    bits: uint8 [N, bytes], numbers: float32 [N, P] (see `Code`), one column of zeros where P is 0. mask: uint8
    [N, ceil(A / 8)], legal actions packed as numpy.packbits, zeros where the game is over. done: bool [N].
    outcome: int8 [N], +1, 0 or -1 for the first player.
    """

    bits: NDArray[np.uint8]
    numbers: NDArray[np.float32]
    mask: NDArray[np.uint8]
    done: NDArray[np.bool_]
    outcome: NDArray[np.int8]


@dataclass(frozen=True)
class Rules:
    """What a process must know to step an environment; it is sent to those of the pool.

    max_plies: after which a game is drawn. num_slots: largest number of legal actions.
    """

    make: Make
    profile: Profile
    encoder: PlaneEncoder
    max_plies: int
    num_slots: int


class _Entry(NamedTuple):
    """A position: its environment (None once the game is over, or without copies), sums of rewards, and its row."""

    env: Any
    totals: tuple[float, float]
    code: Code
    mask: NDArray[np.uint8]
    done: bool
    outcome: int


class Stepper:
    """Steps lines of moves. Line: the bytes of int16 moves, counted from 0.

    A position is made by copying the environment of the longest line before it that is still known and playing the rest
    of the moves on the copy.
    """

    playing: Stepper | None = None
    """The last one to begin a game in this process: environments without copies may share the state of a module."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self._agents = rules, rules.profile.agents
        way = rules.profile.way
        self._clone = None if way == REPLAY else WAYS[way]
        self._live = rules.make()
        self._name = name_of(self._live)
        self._line = b""  # of the live environment, where there are no copies
        size = rules.profile.clone_bytes + (int(np.prod(rules.encoder.shape)) + self._agents.actions) // 8 + _ENTRY
        self._most = max(_LEAST_CACHED, min(_MOST_CACHED, _CACHE_BYTES // size))
        self._known: OrderedDict[bytes, _Entry] = OrderedDict()
        self._begin()
        self._root = self._entry(self._live if self._clone is None else self._clone(self._live), b"", (0.0, 0.0))

    def step(self, lines: Sequence[bytes]) -> Rows:
        """The positions of N lines, each of which is a legal line, so that its last move may be new."""
        entries = [self._at(line) for line in lines]
        planes, size = self.rules.encoder, (self._agents.actions + 7) // 8
        count = len(entries)
        rows = Rows(
            np.zeros((count, len(self._root.code.bits)), np.uint8),
            np.zeros((count, max(1, planes.number_planes)), np.float32),
            np.zeros((count, size), np.uint8),
            np.zeros(count, np.bool_),
            np.zeros(count, np.int8),
        )
        for row, entry in enumerate(entries):
            rows.bits[row], rows.mask[row] = entry.code.bits, entry.mask
            if planes.number_planes:
                rows.numbers[row] = entry.code.numbers
            rows.done[row], rows.outcome[row] = entry.done, entry.outcome
        return rows

    def seen_by(self, lines: Sequence[bytes], players: Sequence[int]) -> list[Code]:
        """The observations of N lines by players 0 or 1, not only those to move."""
        return [
            self._encoded(observed(self._env_at(line), self._agents.names[player]), line)
            for line, player in zip(lines, players, strict=True)
        ]

    def observations(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """What the agent to move observes in N positions that are not over: `observation` and `action_mask`."""
        found = []
        for line in lines:
            env = self._env_at(line)
            seen = observed(env, env.agent_selection)
            mask = mask_of(env, seen, self._agents)
            if not (isinstance(seen, dict) and "observation" in seen):
                seen = {"observation": seen}
            found.append({**seen, MASK: None if mask is None else mask.astype(np.int8)})
        return found

    def _at(self, line: bytes) -> _Entry:
        known = self._known.get(line)
        if known is not None:
            self._known.move_to_end(line)
            return known
        if not line:
            return self._root
        return self._remember(line, self._replayed(line) if self._clone is None else self._copied(line))

    def _copied(self, line: bytes) -> _Entry:
        """The position of a line whose environment is a copy of that of the longest known line before it."""
        start = len(line) - 2
        while start and ((known := self._known.get(line[:start])) is None or known.env is None):
            start -= 2
        before = self._known[line[:start]] if start else self._root
        if start:
            self._known.move_to_end(line[:start])
        assert self._clone is not None
        return self._played(self._clone(before.env), line, start, before.totals)

    def _replayed(self, line: bytes) -> _Entry:
        """The position of a line that is played in the one environment, which begins anew unless the line goes on."""
        start = len(self._line)
        before = self._known.get(self._line) if start and Stepper.playing is self else None
        if before is None or before.done or not line.startswith(self._line) or len(line) <= start:
            self._begin()
            before, start = self._root, 0
        self._line = b""  # if a move raises, the next line begins anew
        entry = self._played(self._live, line, start, before.totals)
        self._line = line
        return entry

    def _played(self, env: Any, line: bytes, start: int, totals: tuple[float, float]) -> _Entry:
        """The position after the moves of a line from byte `start` on."""
        moves = np.frombuffer(line, np.int16)
        for number in range(start // 2, len(moves)):
            try:
                play(env, self._agents, int(moves[number]))
            except UserError as error:
                where = text_of(moves[:number].tolist(), self._agents.start, number)
                raise UserError(f"{error}, {where}") from error.__cause__
            rewards = rewards_of(env, self._agents)
            totals = (totals[0] + rewards[0], totals[1] + rewards[1])
            if number + 1 < len(moves) and any(flags(env, self._agents)[0]):
                raise UserError(self._at_line(line, "the game is over, and was not when these moves were first played"))
        return self._entry(env, line, totals)

    def _entry(self, env: Any, line: bytes, totals: tuple[float, float]) -> _Entry:
        agents, ply = self._agents, len(line) // 2
        ended, _ = flags(env, agents)
        if any(ended) != all(ended):
            raise UserError(self._at_line(line, "it ends for one agent alone"))
        over, mover = all(ended), agents.names[ply % 2]
        if not over and env.agent_selection != mover:
            raise UserError(self._at_line(line, f"{env.agent_selection} moves twice in a row"))
        seen = observed(env, mover)
        code = self._encoded(seen, line)
        outcome = 0
        if over:
            if abs(sum(totals)) > _SUM:
                raise UserError(self._at_line(line, f"its rewards {list(totals)} are not zero-sum"))
            outcome = int(np.sign(round(totals[0], 6)))
        done = over or ply >= self.rules.max_plies
        mask = np.zeros(agents.actions, np.bool_) if done else mask_of(env, seen, agents)
        if mask is None:
            raise UserError(self._at_line(line, "it gives no action mask, and did before"))
        legal = int(np.count_nonzero(mask))
        if not done and not 1 <= legal <= self.rules.num_slots:
            more = f"; set game.options.num_slots to {legal} or more" if legal else ""
            raise UserError(
                self._at_line(line, f"it has {legal} legal actions, and 1 to {self.rules.num_slots} fit{more}")
            )
        return _Entry(None if done else env, totals, code, np.packbits(mask), done, outcome)

    def _env_at(self, line: bytes) -> Any:
        """An environment at the position of a line, which nothing else uses."""
        env = self._live
        self._begin()
        for move in np.frombuffer(line, np.int16).tolist():
            play(env, self._agents, move)
        return env

    def _begin(self) -> None:
        """Reset the live environment."""
        begin(self._live, self.rules.profile.seed)
        self._line, Stepper.playing = b"", self

    def _encoded(self, observation: Any, line: bytes) -> Code:
        try:
            return self.rules.encoder(observation)
        except UserError as error:
            raise UserError(self._at_line(line, str(error))) from None

    def _remember(self, line: bytes, entry: _Entry) -> _Entry:
        if self._clone is None:
            entry = entry._replace(env=None)
        self._known[line] = entry
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return entry

    def _at_line(self, line: bytes, what: str) -> str:
        moves = np.frombuffer(line, np.int16).tolist()
        return f"environment {self._name}: {what}, {text_of(moves, self._agents.start, len(moves))}"
