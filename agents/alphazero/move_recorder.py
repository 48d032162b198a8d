"""Recorder of self-play's moves with their visit counts, on the first boards of an actor."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.records import PlayedMoves
from agents.games.game import Game
from agents.search.root import SearchResult


class MoveRecorder:
    """Keeps the moves of the games in progress on boards 0 to R - 1, and hands over those of games that end.

    A training sample has the improved policy, not the visit counts from which it comes, and not the move that was
    played; this is the record from which a game's searches can be rebuilt and compared.
    """

    def __init__(self, game: Game, boards: int, device: torch.device) -> None:
        self.boards, self._num_actions = boards, game.num_actions
        # Row b, column t is the t-th searched position of board b.
        rows = _blank(boards * game.max_plies, game, device)
        self._moves = PlayedMoves(*(field.view(boards, game.max_plies, *field.shape[1:]) for field in rows))
        self._rows = torch.arange(boards, device=device)
        # A game that was continued from a state without its moves is not recorded.
        self._whole = torch.ones(boards, dtype=torch.bool, device=device)

    def record(self, length: Tensor, ids: Tensor, plies: Tensor, result: SearchResult, version: Tensor) -> None:
        """The decisions for all boards.

        length: int64 [B], positions searched before; ids, plies: int64 [B]; version: int32, 0-d.
        """
        if not self.boards:
            return
        at, count = (self._rows, length[: self.boards]), self.boards
        fields = (ids, plies, result.action, result.visits, result.actions, result.value)
        for field, values in zip(self._moves[:-1], fields, strict=True):
            field[at] = values[:count].to(field.dtype)
        self._moves.version[at] = version

    def collect(self, ended: Tensor, length: Tensor) -> PlayedMoves:
        """The moves of recorded games among the boards `ended`, on the CPU. length: int64 [B], their positions."""
        boards = ended[ended < self.boards]
        boards = boards[self._whole[boards]]
        column = torch.arange(self._moves.ply.shape[1], device=ended.device)
        row, ply = (column < length[boards][:, None]).nonzero(as_tuple=True)
        return PlayedMoves(*(field[boards[row], ply].cpu() for field in self._moves))

    def restart(self, ended: Tensor) -> None:
        """New games begin on the boards `ended`."""
        self._whole[ended[ended < self.boards]] = True

    def state_dict(self) -> dict[str, Any]:
        """Moves of the games in progress."""
        return {"whole": self._whole, **self._moves._asdict()}

    def load_state_dict(self, saved: Mapping[str, Any] | None) -> None:
        """Continue with the moves of `state_dict`; None where a state has none.

        Raises ValueError for those of other boards.
        """
        if saved is None:
            self._whole = torch.zeros_like(self._whole)
            return
        own = self.state_dict()
        if not isinstance(saved, Mapping) or saved.keys() != own.keys():
            raise ValueError("moves of other games")
        for name, field in own.items():
            loaded = saved[name]
            if not isinstance(loaded, Tensor) or (loaded.shape, loaded.dtype) != (field.shape, field.dtype):
                raise ValueError("moves on boards of other shapes")
        for name in ("action", "actions"):
            if bool(((saved[name] < -1) | (saved[name] >= self._num_actions)).any()):
                raise ValueError("moves that the game does not have")
        self._whole = saved["whole"].to(self._whole.device)
        self._moves = PlayedMoves(*(saved[name].to(self._whole.device) for name in PlayedMoves._fields))


def move_bytes(game: Game) -> int:
    """Bytes of one recorded move."""
    return sum(field.nbytes for field in _blank(1, game, torch.device("cpu")))


def _blank(count: int, game: Game, device: torch.device) -> PlayedMoves:
    def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(count, *shape, dtype=dtype, device=device)

    return PlayedMoves(
        game_id=zeros(dtype=torch.int64),
        ply=zeros(dtype=torch.int16),
        action=zeros(dtype=torch.int16),
        visits=zeros(game.num_slots, dtype=torch.int32),
        actions=zeros(game.num_slots, dtype=torch.int16),
        value=zeros(dtype=torch.float32),
        version=zeros(dtype=torch.int32),
    )
