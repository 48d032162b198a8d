"""A turn-based environment of PettingZoo as a game: AlphaZero learns it by the rules of the environment itself."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.alphazero.records import unpack_bits
from agents.environments.make import Value
from agents.environments.turns.make import EnvironmentName
from agents.environments.turns.renderer import Renderer
from agents.environments.turns.rules import pool_of, rules_of
from agents.environments.turns.stepper import Rows, Rules, Stepper
from agents.games.board import EMPTY, Board, changed_cells
from agents.games.game import Game, Symmetries
from agents.games.words import hashed
from lab.errors import UserError

_MOST_PLIES, _MOST_ACTIONS, _MOST_PROCESSES = 16_384, 2**15 - 1, 256
_CPU = torch.device("cpu")


class LineState(NamedTuple):
    """B positions: the lines of moves that lead to them, and what the environment showed of them.

    moves: int16 [B, max_plies + 1], a ring that never wraps: entry p is the move that led to the position after p
    plies, entry 0 is -1. plies: int64 [B].
    planes: uint8 [B, bytes], the bits of the mover's observation, packed.
    numbers: float32 [B, P], its other planes; one column of zeros where P is 0, which can be viewed as bytes.
    mask: uint8 [B, ceil(A / 8)], legal actions, packed. done: bool [B]. outcome: int8 [B], of the first player.
    """

    moves: Tensor
    plies: Tensor
    planes: Tensor
    numbers: Tensor
    mask: Tensor
    done: Tensor
    outcome: Tensor


class PettingZooGame(Game):
    """The game of an AEC environment with two agents in turn, perfect information, an action mask and zero-sum rewards.

    env: a module such as pettingzoo.classic.connect_four_v3, an entry point of the group
    `rivals.turn_based_environments`, or openspiel:GAME. arguments: of the environment, by name.
    max_plies: plies after which a game is drawn; by default those after which the environment truncates games, or twice
    those of the longest of a few random games.
    num_slots: largest number of legal actions of a position; by default all actions where there are at most 256.
    seed: of every reset. processes: that step the environment, by default as many as torch has threads; 0 for none.

    Positions cannot be changed but by playing, so `step` asks processes for the positions after lines of moves
    (`agents.environments.turns`). The player with the larger sum of rewards wins; by how much is not learned. The board
    has no known symmetries.
    """

    name = "pettingzoo"
    history = ("moves",)

    def __init__(
        self,
        env: str,
        max_plies: int | None = None,
        num_slots: int | None = None,
        seed: int = 0,
        processes: int | None = None,
        **arguments: Value,
    ) -> None:
        for option, value, low, high in (
            ("max_plies", max_plies, 1, _MOST_PLIES),
            ("num_slots", num_slots, 1, _MOST_ACTIONS),
            ("seed", seed, 0, 2**31 - 1),
            ("processes", processes, 0, _MOST_PROCESSES),
        ):
            if value is not None and not low <= value <= high:
                raise UserError(f"pettingzoo: {option} must be from {low} to {high:,}, not {value}")
        name = EnvironmentName(env, tuple(sorted((key, _hashable(value)) for key, value in arguments.items())))
        self.rules: Rules = rules_of(name, seed, max_plies, num_slots)
        profile, encoder = self.rules.profile, self.rules.encoder
        if profile.agents.actions > _MOST_ACTIONS:
            raise UserError(
                f"environment {profile.name} has {profile.agents.actions:,} actions, and {_MOST_ACTIONS:,} fit"
            )
        # How many processes step is no rule: runs that differ in it play the same game.
        self.options: Mapping[str, Any] = {
            "env": name.module,
            "max_plies": self.rules.max_plies,
            "num_slots": self.rules.num_slots,
            "seed": seed,
            **arguments,
        }
        self._processes = processes
        self.num_actions, self.num_slots = profile.agents.actions, self.rules.num_slots
        self.observation_shape = encoder.shape
        self.number_planes = encoder.number_planes
        self.max_plies = self.rules.max_plies
        self.action_names: Sequence[str] = [str(profile.agents.start + action) for action in range(self.num_actions)]
        self._bits = (encoder.shape[0] - encoder.number_planes) * encoder.shape[1] * encoder.shape[2]
        self._renderers: dict[str, Renderer | None] = {}
        if not self._shows_stones:
            first, second = map(str, profile.agents.names)
            self.player_names = (first, second)
        self._initial = self._state_of(Stepper(self.rules).step([b""]))

    def initial(self, batch: int, device: torch.device) -> LineState:
        return LineState(*(field.expand(batch, *field.shape[1:]).clone().to(device) for field in self._initial))

    def legal(self, state: LineState) -> Tensor:
        return unpack_bits(state.mask, self.num_actions) != 0

    def step(self, state: LineState, action: Tensor) -> LineState:
        """Boards that are over, and those on which the action is illegal, stay as they are."""
        playable = self.legal(state).gather(1, action[:, None])[:, 0].nonzero()[:, 0]
        if not len(playable):
            return state
        moves, plies = state.moves.clone(), state.plies.clone()
        plies[playable] += 1
        moves[playable, plies[playable]] = action[playable].to(torch.int16)
        found = self._state_of(self._pool.step(_lines(moves[playable], plies[playable])))
        fields = {"moves": moves, "plies": plies}
        for name in ("planes", "numbers", "mask", "done", "outcome"):
            field = getattr(state, name).clone()
            field[playable] = getattr(found, name).to(field.device)
            fields[name] = field
        return LineState(**fields)

    def player(self, state: LineState) -> Tensor:
        return state.plies % 2

    def plies(self, state: LineState) -> Tensor:
        return state.plies

    def done(self, state: LineState) -> Tensor:
        return state.done

    def reward(self, state: LineState) -> Tensor:
        return torch.stack([state.outcome, -state.outcome], 1).to(torch.float32)

    def observe(self, state: LineState, player: Tensor | None = None) -> Tensor:
        planes, numbers = state.planes, state.numbers
        if player is not None and len(others := (player != self.player(state)).nonzero()[:, 0]):
            lines = _lines(state.moves[others], state.plies[others])
            codes = self._pool.seen_by(lines, player[others].tolist())
            planes, numbers = planes.clone(), numbers.clone()
            planes[others] = torch.from_numpy(np.stack([code.bits for code in codes])).to(planes.device)
            if self.number_planes:
                numbers[others] = torch.from_numpy(np.stack([code.numbers for code in codes])).to(numbers.device)
        count, (channels, height, width) = len(planes), self.observation_shape
        bits = unpack_bits(planes, self._bits).view(count, channels - self.number_planes, height, width)
        if not self.number_planes:
            return bits
        return torch.cat([bits, numbers[:, :, None, None].expand(-1, -1, height, width)], 1)

    def key(self, state: LineState) -> Tensor:
        """A hash of the observation. A game that is over also has its result: its observation may be an old one."""
        planes = torch.nn.functional.pad(state.planes, (0, -state.planes.shape[1] % 8)).contiguous()
        words = [planes.view(torch.int64), state.numbers.contiguous().view(torch.int32).to(torch.int64)]
        if self.num_slots < self.num_actions:
            mask = torch.nn.functional.pad(state.mask, (0, -state.mask.shape[1] % 8)).contiguous()
            words.append(mask.view(torch.int64))
        words.append((state.done * (state.outcome.to(torch.int64) + 2))[:, None])
        return hashed(torch.cat(words, 1))

    def seen(self, state: LineState) -> list[dict[str, NDArray[Any]]]:
        """What the environment itself shows the agent to move on each board: `observation` and `action_mask`."""
        return self._pool.observations(_lines(state.moves, state.plies))

    def symmetries(self, device: torch.device) -> Symmetries:
        channels, height, width = self.observation_shape
        return Symmetries(
            torch.arange(channels * height * width, device=device)[None],
            torch.arange(self.num_actions, device=device)[None],
        )

    def board(self, state: LineState, index: int = 0, previous: LineState | None = None) -> Board | None:
        """The two planes of an environment that has no more as stones; None for others and where it has a text."""
        if not self._shows_stones or self._renderer("ansi") is not None:
            return None
        owners = self._owners(state, index)
        before = None if previous is None else self._owners(previous, index)
        return Board(owners=owners, last=changed_cells(owners, before))

    def render(self, state: LineState, index: int = 0, previous: LineState | None = None) -> str:
        """The environment's own text, the board of stones, or the moves."""
        renderer = self._renderer("ansi")
        line = _lines(state.moves[index : index + 1], state.plies[index : index + 1])[0]
        shown = None if renderer is None else renderer.text(line)
        if shown is not None and shown.strip():
            return shown.rstrip()
        if self.board(state, index) is not None:
            return super().render(state, index, previous)
        moves = " ".join(self.action_names[move] for move in np.frombuffer(line, np.int16).tolist())
        mover = self.player_names[int(state.plies[index]) % 2]
        return f"{self.rules.profile.name}\nmoves: {moves or 'none'}\n" + (
            "the game is over" if bool(state.done[index]) else f"{mover} is to move"
        )

    def image(self, state: LineState, index: int = 0, previous: LineState | None = None) -> NDArray[np.uint8]:
        """The environment's own picture where it draws one without a screen, else as other games."""
        renderer = self._renderer("rgb_array")
        if renderer is not None:
            try:
                picture = renderer.picture(_lines(state.moves[index : index + 1], state.plies[index : index + 1])[0])
            except Exception:  # pygame without a screen or fonts, or files that the package lacks
                self._renderers["rgb_array"], picture = None, None
            if picture is not None:
                return picture
        return super().image(state, index, previous)

    @property
    def _pool(self) -> Any:
        processes = torch.get_num_threads() if self._processes is None else self._processes
        if multiprocessing.current_process().daemon:
            processes = 0  # such as the evaluator beside training, which may have no children
        return pool_of(self.rules, processes)

    @property
    def _shows_stones(self) -> bool:
        return self.observation_shape[0] == 2 and not self.number_planes and min(self.observation_shape[1:]) > 1

    def _owners(self, state: LineState, index: int) -> list[list[int]]:
        """[H, W]: 0 or 1 for the player whose plane has the cell, or EMPTY."""
        own, other = self.observe(LineState(*(field[index : index + 1] for field in state)))[0]
        mover = int(state.plies[index]) % 2
        owners: list[list[int]] = (
            torch.where(own != 0, mover, torch.where(other != 0, 1 - mover, EMPTY)).long().tolist()
        )
        return owners

    def _renderer(self, mode: str) -> Renderer | None:
        """The environment rendering in a mode; None where it cannot."""
        if mode not in self._renderers:
            self._renderers[mode] = _renderer(self.rules, mode)
        return self._renderers[mode]

    def _state_of(self, rows: Rows) -> LineState:
        """The state of rows, whose lines are left empty."""
        count = len(rows.done)
        moves = torch.full((count, self.max_plies + 1), -1, dtype=torch.int16)
        plies = torch.zeros(count, dtype=torch.int64)
        return LineState(moves, plies, *(torch.from_numpy(field) for field in rows))


def _renderer(rules: Rules, mode: str) -> Renderer | None:
    try:
        return Renderer(rules, mode)
    except (UserError, ValueError):
        return None


def _lines(moves: Tensor, plies: Tensor) -> list[bytes]:
    """The lines of B positions as bytes, from moves [B, max_plies + 1]."""
    rows, lengths = moves.cpu().numpy(), plies.tolist()
    return [row[1 : length + 1].tobytes() for row, length in zip(rows, lengths, strict=True)]


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
