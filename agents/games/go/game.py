"""Go as batched tensors: captures, no suicide, positional superko or simple ko, Tromp-Taylor area score."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.games.board import Board
from agents.games.game import ActionLayout, Game, Record, Symmetries, select
from agents.games.go import text
from agents.games.go.area import area_colours, area_score, connected_regions
from agents.games.go.chains import Chains, lost_bit, open_points, place, pseudo_liberties
from agents.games.go.geometry import geometry, symmetries
from agents.games.go.ko import position_hash, repeating_points
from agents.games.go.text import why_illegal as _why_illegal
from agents.games.sgf_record import read_sgf_record
from lab.errors import UserError

SMALLEST, LARGEST = 2, 19  # points on a side
_KOMI_SCALE = 20.0  # KataGo's, lightvector/KataGo: cpp/neuralnet/nninputs.cpp


class GoState(NamedTuple):
    """B boards of S cells (see `geometry`), P points and A = P + 1 actions.

    stones: int8 [B, S], chains: int16 [B, S], liberties: int16 [B, S]: see `Chains`.
    lost: int8 [B, S], sum of 1 where a black stone was captured before and 2 where a white one was.
    banned: bool [B, P], points where only the ko rule forbids a move.
    allowed: bool [B, A], legal actions; all False when the game is over.
    captures: int16 [B, 2], stones that each player has captured.
    plies: int64 [B]. passes: int8 [B], passes in succession. score: int16 [B], black minus white area of a game that is
    over, without komi. last: int16 [B], the last action, -1 before the first.
    hashes: int64 [B, T] and boards: int8 [B, positions, P], histories: hash and stones of earlier positions.
    """

    stones: Tensor
    chains: Tensor
    liberties: Tensor
    lost: Tensor
    banned: Tensor
    allowed: Tensor
    captures: Tensor
    plies: Tensor
    passes: Tensor
    score: Tensor
    last: Tensor
    hashes: Tensor
    boards: Tensor


class Go(Game):
    """Black and white place stones on the points of a square board; who has the larger area wins.

    Rules: chains without liberties are captured; a move that leaves its own chain without liberties is illegal. With
    `ko="positional"` (positional superko) a move is illegal if the stones then stand as at any earlier time in the
    game, whichever player moved then; with `ko="simple"` only if they stand as before the opponent's last move. A pass
    is always legal. The game ends after two passes in succession, or after `max_plies` moves, and is scored by
    Tromp-Taylor: stones and the empty regions that border on one colour only; all stones count as alive. White gets
    `komi`; equal scores are a draw.

    Actions are points in row-major order from the top left, then the pass. Player 0 is black.
    """

    history = ("hashes", "boards")
    player_names = text.PLAYERS
    number_planes = 1
    has_final_board = True

    def __init__(
        self,
        size: int = 19,
        komi: float = 7.5,
        ko: Literal["positional", "simple"] = "positional",
        positions: int = 8,
        max_plies: int | None = None,
    ) -> None:
        """positions: number of positions in the observation. max_plies: None for twice the number of points."""
        if not SMALLEST <= size <= LARGEST:
            raise UserError(f"go: size must be from {SMALLEST} to {LARGEST}, not {size}")
        if not math.isfinite(komi) or komi * 2 != round(komi * 2) or abs(komi) > LARGEST**2:
            raise UserError(f"go: komi must be a multiple of 0.5 from -{LARGEST**2} to {LARGEST**2}, not {komi}")
        if ko not in ("positional", "simple"):
            raise UserError(f'go: ko must be "positional" or "simple", not {ko!r}')
        if not 1 <= positions <= 64:
            raise UserError(f"go: positions must be from 1 to 64, not {positions}")
        max_plies = 2 * size**2 if max_plies is None else max_plies
        if not 1 <= max_plies <= 10_000:
            raise UserError(f"go: max_plies must be from 1 to 10000, not {max_plies}")
        self.name = "go"
        self.options: Mapping[str, Any] = {
            "size": size, "komi": komi, "ko": ko, "positions": positions, "max_plies": max_plies
        }  # fmt: skip
        self.size, self.komi, self.ko, self.positions, self.max_plies = size, komi, ko, positions, max_plies
        self.points = size * size
        self.num_actions = self.num_slots = self.points + 1
        self.observation_shape = (2 * positions + 4, size, size)
        self.action_layout = ActionLayout(planes=1, others=1)
        self.action_names: Sequence[str] = text.action_names(size)
        # Superko looks at all positions since the empty board.
        self._remembered = max(positions, max_plies + 1 if ko == "positional" else 2)

    def initial(self, batch: int, device: torch.device) -> GoState:
        board = geometry(self.size, device)

        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros((batch, *shape), dtype=dtype, device=device)

        cells = len(board.empty)
        return GoState(
            stones=board.empty.repeat(batch, 1),
            chains=zeros(cells, dtype=torch.int16),
            liberties=zeros(cells, dtype=torch.int16),
            lost=zeros(cells, dtype=torch.int8),
            banned=zeros(self.points, dtype=torch.bool),
            allowed=torch.ones((batch, self.num_actions), dtype=torch.bool, device=device),
            captures=zeros(2, dtype=torch.int16),
            plies=zeros(dtype=torch.int64),
            passes=zeros(dtype=torch.int8),
            score=zeros(dtype=torch.int16),
            last=torch.full((batch,), -1, dtype=torch.int16, device=device),
            hashes=zeros(self._remembered, dtype=torch.int64),
            boards=zeros(self.positions, self.points, dtype=torch.int8),
        )

    def setup(self, stones: Tensor, player: int) -> GoState:
        """State of B positions of stones int8 [B, N, N], +1 black and -1 white, with `player` (0 or 1) to move.

        Nothing before these positions counts for the ko rule. Raises UserError for chains without liberties.
        """
        batch = len(stones)
        board = geometry(self.size, stones.device)
        cells = board.empty.repeat(batch, 1)
        cells[:, board.cells[:-1]] = stones.reshape(batch, self.points)
        chains = connected_regions(board, cells == 1) + connected_regions(board, cells == -1)
        position = Chains(cells, chains, pseudo_liberties(board, cells, chains))
        if bool(((chains != 0) & (position.liberties == 0)).any()):
            raise UserError("go: a position has stones without liberties")
        state = self.initial(batch, stones.device)
        plies = state.plies + player
        free, _ = open_points(board, position, _colour(plies), state.lost)
        return state._replace(
            **position._asdict(),
            allowed=torch.cat([free, torch.ones_like(free[:, :1])], 1),
            plies=plies,
            hashes=_write(state.hashes, plies, position_hash(board, cells)),
            boards=_write(state.boards, plies, board.points(board.inner(cells))),
        )

    def legal(self, state: GoState) -> Tensor:
        return state.allowed

    def step(self, state: GoState, action: Tensor) -> GoState:
        # Boards that are over get a pass, which changes no stones.
        board = geometry(self.size, action.device)
        running = ~self.done(state)
        move = torch.where(running, action, self.points)
        colour = _colour(state.plies)
        position, removed = place(board, Chains(*state[:3]), move, colour)
        plies = state.plies + running
        passes = torch.where(running, (state.passes + 1) * (move == self.points), state.passes)
        over = (passes >= 2) | (plies >= self.max_plies)
        lost = state.lost | removed.to(torch.int8) * lost_bit(-colour)
        taken = removed.sum(1, keepdim=True, dtype=torch.int16)
        stones = board.points(board.inner(position.stones))
        hashes = _write(state.hashes, plies, position_hash(board, position.stones))
        boards = _write(state.boards, plies, stones)

        mover = _colour(plies)
        free, suspects = open_points(board, position, mover, lost)
        banned = repeating_points(
            board, position, mover, suspects & ~over[:, None], self._earlier(hashes, plies), compact=_on_cpu(plies)
        )
        return GoState(
            *position,
            lost=lost,
            banned=banned,
            allowed=torch.cat([free & ~banned, torch.ones_like(over)[:, None]], 1) & ~over[:, None],
            captures=state.captures.scatter_add(1, (state.plies % 2)[:, None], taken),
            plies=plies,
            passes=passes,
            score=self._score(position.stones, state.score, over & running),
            last=torch.where(running, action.to(torch.int16), state.last),
            hashes=hashes,
            boards=boards,
        )

    def _earlier(self, hashes: Tensor, plies: Tensor) -> Tensor:
        """int64 [B, T]: the hashes of positions that a move may not repeat."""
        if self.ko == "simple":
            return hashes.gather(1, ((plies - 1) % self._remembered)[:, None])
        return hashes[:, : int(plies.max()) + 1] if _on_cpu(plies) and len(plies) else hashes

    def _score(self, stones: Tensor, score: Tensor, ended: Tensor) -> Tensor:
        """int16 [B]: the score of boards that have ended now, else the `score` before."""
        board = geometry(self.size, stones.device)
        if not _on_cpu(stones):
            return torch.where(ended, area_score(board, stones, fixed_rounds=True), score)
        rows = ended.nonzero()[:, 0]
        if not len(rows):
            return score
        return score.index_copy(0, rows, area_score(board, stones[rows], fixed_rounds=False))

    def player(self, state: GoState) -> Tensor:
        return state.plies % 2

    def plies(self, state: GoState) -> Tensor:
        return state.plies

    def done(self, state: GoState) -> Tensor:
        return ~state.allowed[:, -1]

    def reward(self, state: GoState) -> Tensor:
        black = torch.sign(state.score.to(torch.float32) - self.komi) * self.done(state)
        return torch.stack([black, -black], 1)

    def observe(self, state: GoState, player: Tensor | None = None) -> Tensor:
        """For each of the last positions, newest first, the player's stones and the opponent's; then 1 everywhere where
        the player is black, 1 everywhere after a pass, and the points that only the ko rule forbids the player to move.
        The number is the player's komi divided by 20.
        """
        player = state.plies % 2 if player is None else player
        batch, device = len(player), player.device
        sign = (1 - 2 * player).to(torch.int8)
        entries = (state.plies[:, None] - torch.arange(self.positions, device=device)) % self.positions
        rows = torch.arange(batch, device=device)[:, None] * self.positions + entries
        boards = state.boards.flatten(0, 1).index_select(0, rows.flatten()).view_as(state.boards) * sign[:, None, None]
        planes = torch.empty((batch, self.observation_shape[0], self.points), device=device)
        stones, flags = planes[:, :-4].unflatten(1, (self.positions, 2)), planes[:, -4:]
        stones[:, :, 0] = boards.clamp_min(0)
        stones[:, :, 1] = boards.clamp_max(0).neg_()
        flags[:, 0] = (player == 0)[:, None]
        flags[:, 1] = (state.passes > 0)[:, None]
        flags[:, 2] = state.banned & (player == state.plies % 2)[:, None]
        flags[:, 3] = sign[:, None] * (-self.komi / _KOMI_SCALE)
        return planes.unflatten(2, (self.size, self.size))

    def final_board(self, state: GoState, player: Tensor) -> Tensor:
        """Whose area a point is: stones, and empty regions that border on one colour only."""
        board = geometry(self.size, state.stones.device)
        colours = area_colours(board, state.stones, fixed_rounds=not _on_cpu(state.stones))
        points = board.points(board.inner(colours))[:, None]
        areas = torch.cat([points == 1, points == 2], 1)
        areas = torch.where((player == 0)[:, None, None], areas, areas.flip(1))
        return areas.unflatten(2, (self.size, self.size))

    def key(self, state: GoState) -> Tensor:
        tables = _key_tables(self.size, self.positions, state.plies.device)
        entries = (state.plies[:, None] - torch.arange(self.positions, device=state.plies.device)) % self._remembered
        boards = (state.hashes.gather(1, entries) * tables.positions).sum(1)
        banned = (state.banned * tables.banned).sum(1)
        return boards + banned + state.plies % 2 * tables.flags[0] + (state.passes > 0) * tables.flags[1]

    def symmetries(self, device: torch.device) -> Symmetries:
        return symmetries(self.size, self.observation_shape[0], device)

    def board(self, state: GoState, index: int = 0, previous: GoState | None = None) -> Board:
        return text.board_of(self, state, index)

    def stones(self, state: GoState, index: int = 0) -> list[int]:
        """One board in row-major order: +1 black, -1 white, 0 empty."""
        stones: list[int] = state.boards[index, state.plies[index] % self.positions].tolist()
        return stones

    def find_move(self, state: GoState, text: str, *, index: int = 0) -> int | None:
        """A legal point such as D4, in either case, or pass."""
        action = self._actions.get(text.strip().upper())
        return action if action is not None and bool(state.allowed[index, action]) else None

    def read_record(self, text: str, device: torch.device) -> Record | None:
        """The main line of a game in SGF, whose board must have this size. This game's komi and ko rule count."""
        return read_sgf_record(self, text, device)

    def why_illegal(self, state: GoState, text: str, *, index: int = 0) -> str | None:
        action = self._actions.get(text.strip().upper())
        if action is None:
            return None
        return _why_illegal(self, select(state, torch.tensor([index], device=state.plies.device)), action)

    @property
    def _actions(self) -> dict[str, int]:
        return {name.upper(): action for action, name in enumerate(self.action_names)}


class _KeyTables(NamedTuple):
    positions: Tensor  # int64 [positions], odd
    banned: Tensor  # int64 [P]
    flags: Tensor  # int64 [2]: black to move, after a pass


@cache
def _key_tables(size: int, positions: int, device: torch.device) -> _KeyTables:
    numbers = np.random.default_rng(0x5EED).integers(-(2**63), 2**63, positions + size**2 + 2, dtype=np.int64)
    parts = np.split(numbers, [positions, positions + size**2])
    return _KeyTables(*(torch.from_numpy(part).to(device) for part in (parts[0] | 1, parts[1], parts[2])))


def _on_cpu(tensor: Tensor) -> bool:
    """Whether values may be read: a program does not wait for a CPU."""
    return tensor.device.type == "cpu"


def _colour(plies: Tensor) -> Tensor:
    """int8 [B, 1]: +1 where black is to move, else -1."""
    return (1 - 2 * (plies % 2)).to(torch.int8)[:, None]


def _write(ring: Tensor, plies: Tensor, entry: Tensor) -> Tensor:
    """The ring [B, T, ...] with an entry [B, ...] at place `plies` % T."""
    place = (plies % ring.shape[1]).view(-1, 1, *[1] * (ring.dim() - 2))
    return ring.scatter(1, place.expand(-1, 1, *ring.shape[2:]), entry[:, None])
