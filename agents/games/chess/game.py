"""Chess by the laws of FIDE as batched tensors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from agents.games.board import Board
from agents.games.chess import names
from agents.games.chess.actions import SLOTS, mask, slots
from agents.games.chess.bits import flipped
from agents.games.chess.fen import fen_of, is_fen, positions
from agents.games.chess.geometry import ACTIONS, PLANES, tables
from agents.games.chess.observation import NUMBER_PLANES, observed, recent, shape
from agents.games.chess.pgn import is_pgn, read_pgn
from agents.games.chess.position import Position
from agents.games.chess.reasons import why_illegal
from agents.games.chess.starts import first_entry, read_starts, sampled
from agents.games.chess.state import CHECKMATE, OBSERVED, RUNNING, ChessState, Limits, begun, new_games, stepped
from agents.games.chess.text import PLAYERS, board_of
from agents.games.game import ActionLayout, Game, Record, Symmetries
from agents.games.words import hashed
from lab.errors import UserError

_LONGEST = 20_000


class Chess(Game):
    """Chess by the FIDE Laws of Chess (2023): actions as in `geometry`, observations as in `observation`.

    With `claims` both players claim every draw: the third occurrence of a position and 50 moves of each player without
    a capture or a move of a pawn end the game (articles 9.2, 9.3). Without it the fifth occurrence and 75 moves do
    (9.6). Two positions are the same if the same player is to move and may make the same moves, so that en passant
    counts only where it is legal. Insufficient material is the dead position that the program knows (5.2.2). A game of
    `max_plies` plies is drawn.
    """

    number_planes = NUMBER_PLANES
    history = ("keys", "boards")
    action_layout = ActionLayout(PLANES)
    player_names = PLAYERS

    def __init__(self, max_plies: int, claims: bool, start: str, positions: int) -> None:
        if not 1 <= max_plies <= _LONGEST:
            raise UserError(f"chess: max_plies must be 1 to {_LONGEST}, not {max_plies}")
        if not 1 <= positions <= OBSERVED:
            raise UserError(f"chess: positions must be 1 to {OBSERVED}, not {positions}")
        self.name = "chess"
        options = {"max_plies": max_plies, "claims": claims, "start": start, "positions": positions}
        self.options: Mapping[str, Any] = options
        self.num_actions, self.num_slots = ACTIONS, SLOTS
        self.observation_shape = shape(positions)
        self.max_plies, self.positions = max_plies, positions
        self.limits = Limits(3, 100, max_plies) if claims else Limits(5, 150, max_plies)
        self.action_names: Sequence[str] = names.action_names()
        self._starts = None if not start else read_starts(start, self.limits)

    def initial(self, batch: int, device: torch.device) -> ChessState:
        if self._starts is None:
            return new_games(batch, self.limits, device)
        return self._begun(first_entry(self._starts, batch, device))

    def sample_initial(self, seed: int, game_ids: Tensor) -> ChessState:
        if self._starts is None:
            return new_games(len(game_ids), self.limits, game_ids.device)
        return self._begun(sampled(self._starts, seed, game_ids))

    def _begun(self, position: Position) -> ChessState:
        return with_double_steps(begun(position, self.limits))

    def legal(self, state: ChessState) -> Tensor:
        return mask(state.moves, tables(state.moves.device))

    def legal_actions(self, state: ChessState) -> Tensor:
        return slots(state.moves, tables(state.moves.device))

    def step(self, state: ChessState, action: Tensor) -> ChessState:
        return stepped(state, action, self.limits)

    def player(self, state: ChessState) -> Tensor:
        return state.plies % 2

    def plies(self, state: ChessState) -> Tensor:
        return state.plies

    def done(self, state: ChessState) -> Tensor:
        return state.outcome != RUNNING

    def reward(self, state: ChessState) -> Tensor:
        # The player to move is mated: with an even number of plies played, that is White.
        white = (state.plies % 2 * 2 - 1) * (state.outcome == CHECKMATE)
        return torch.stack([white, -white], 1).to(torch.float32)

    def observe(self, state: ChessState, player: Tensor | None = None) -> Tensor:
        viewer = self.player(state) if player is None else player
        return observed(state, viewer, self.positions, self.max_plies, tables(viewer.device))

    def key(self, state: ChessState) -> Tensor:
        # The order of the ring is a function of the plies, which are part of the key.
        boards = state.boards if self.positions == OBSERVED else recent(state, self.positions)
        return hashed(torch.cat([state.words, state.clock[:, None], state.plies[:, None], boards.flatten(1)], 1))

    def symmetries(self, device: torch.device) -> Symmetries:
        planes = torch.arange(math.prod(self.observation_shape), device=device)[None]
        return Symmetries(planes, torch.arange(ACTIONS, device=device)[None])

    def board(self, state: ChessState, index: int = 0, previous: ChessState | None = None) -> Board:
        return board_of(state, index=index)

    def move_name(self, state: ChessState, action: int, *, index: int = 0) -> str:
        return names.uci(state, action, index=index)

    def san(self, state: ChessState, action: int, *, index: int = 0) -> str:
        """Standard algebraic notation of a legal action, such as Nf3 or exd8=Q#."""
        return names.san(state, action, self.limits, index=index)

    def find_move(self, state: ChessState, text: str, *, index: int = 0) -> int | None:
        return names.found_move(state, text, index=index)

    def why_illegal(self, state: ChessState, text: str, *, index: int = 0) -> str | None:
        """Why a running board has no such move; None where the text names no move in UCI or SAN."""
        return why_illegal(state, text, index=index)

    def read_record(self, text: str, device: torch.device) -> Record | None:
        """The position of a FEN, or the game of a PGN."""
        if is_fen(text):
            return Record(self.from_fen([text], device), (), ())
        if not is_pgn(text):
            return None
        game = read_pgn(text)
        start = self.from_fen([game.fen], device)
        first = int(start.plies[0])
        plies = range(first, first + len(game.moves))
        return Record(start, game.moves, [f"{ply // 2 + 1} of {('White', 'Black')[ply % 2]}" for ply in plies])

    def from_fen(self, texts: Sequence[str], device: torch.device) -> ChessState:
        """States of FEN texts; their plies are those of the move number. Raises UserError that names the mistake.

        What happened before is unknown, so that repetitions count from here, except for the double step of a pawn that
        can be captured en passant: the observation shows the position before it.
        """
        return with_double_steps(begun(positions(texts, device), self.limits))

    def fen(self, state: ChessState, index: int = 0) -> str:
        """FEN of one board."""
        return fen_of(state.position, index=index)


def chess(max_plies: int = 512, claims: bool = True, start: str = "", positions: int = OBSERVED) -> Chess:
    """Chess. max_plies: a longer game is drawn. claims: draws that can be claimed end the game.

    positions: number of positions in the observation, the latest and those before it, at most 8.
    start: the first position with White to move, as FEN or as the material of a random ending, such as KQvKR; self-play
    and matches draw from several, separated by semicolons (see `starts`). Games count their plies from it.
    """
    return Chess(max_plies, claims, start, positions)


def with_double_steps(state: ChessState) -> ChessState:
    """Enters the position before a double step into the history, where en passant is legal."""
    words = state.words
    passing = words[:, 8]
    # The mover's view of the board one ply earlier: the pawn on its first square, then seen from the other side.
    pawns = words[:, 0] ^ (passing >> 8) ^ (passing << 8)
    pieces = torch.cat([pawns[:, None], words[:, 1:6]], 1)
    own = Position(torch.cat([pieces, words[:, 6:]], 1), state.clock, state.plies).occupied() ^ words[:, 6]
    before = torch.cat([flipped(torch.cat([pieces, own[:, None]], 1)), torch.zeros_like(own)[:, None]], 1)
    place = (((state.plies - 1) % OBSERVED)[:, None, None]).expand(-1, 1, state.boards.shape[2])
    entry = torch.where((passing != 0)[:, None], before, state.boards.gather(1, place)[:, 0])
    return state._replace(boards=state.boards.scatter(1, place, entry[:, None]))
