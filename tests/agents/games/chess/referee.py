"""Random games ply by ply against python-chess, which the tests call the referee."""

import random
from collections import Counter

import chess
import numpy as np
import torch
from numpy.typing import NDArray

from agents.games import select
from agents.games.chess import Chess
from agents.games.chess.geometry import ACTIONS, PROMOTIONS, plane_step
from agents.games.chess.state import RESULTS, ChessState

CPU = torch.device("cpu")
_FLIP = 56
_UNDER = (chess.KNIGHT, chess.BISHOP, chess.ROOK)


def _steps() -> list[tuple[int, int]]:
    found = []
    for action in range(ACTIONS):
        plane, square = divmod(action, 64)
        ranks, files = plane_step(plane)
        found.append((square, square + 8 * ranks + files))
    return found


_STEPS = _steps()


def referee_move(board: chess.Board, action: int) -> chess.Move:
    """The referee's move of an action."""
    source, target = _STEPS[action]
    if board.turn == chess.BLACK:
        source, target = source ^ _FLIP, target ^ _FLIP
    promotion = None
    if action // 64 >= PROMOTIONS:
        promotion = _UNDER[(action // 64 - PROMOTIONS) // 3]
    elif target // 8 in (0, 7) and board.pawns >> source & 1:
        promotion = chess.QUEEN
    return chess.Move(source, target, promotion)


def verdict(board: chess.Board, legal: list[chess.Move], claims: bool) -> str:
    """How the game stands for the referee, in the words of `RESULTS`."""
    if not legal:
        return "checkmate" if board.is_check() else "stalemate"
    if board.is_insufficient_material():
        return "insufficient material"
    times, clock = (3, 100) if claims else (5, 150)
    if board.halfmove_clock >= 4 * (times - 1) and board.is_repetition(times):
        return "repetition"
    return "moves without progress" if board.halfmove_clock >= clock else "running"


def compare(game: Chess, state: ChessState, boards: list[chess.Board], claims: bool) -> list[str]:
    """Compares results, rewards and legal moves; returns the verdicts."""
    outcomes, rewards = state.outcome.tolist(), game.reward(state).tolist()
    slots = game.legal_actions(state).tolist()
    verdicts = []
    for row, board in enumerate(boards):
        legal = list(board.legal_moves)
        found = verdict(board, legal, claims)
        assert RESULTS[outcomes[row]] == found, board.fen()
        winner = (-1 if board.turn else 1) * (found == "checkmate")
        assert rewards[row] == [winner, -winner], board.fen()
        count = len(legal) if found == "running" else 0
        actions = slots[row][:count]
        assert slots[row][count:] == [-1] * (len(slots[row]) - count), board.fen()
        assert actions == sorted(set(actions)), board.fen()
        if count:
            assert {referee_move(board, action) for action in actions} == set(legal), board.fen()
        verdicts.append(found)
    return verdicts


def compare_names(game: Chess, state: ChessState, board: chess.Board, row: int, some: random.Random) -> None:
    """FEN of one board, and UCI and SAN of four of its moves, written and read."""
    assert game.fen(state, row) == board.fen()
    actions = game.legal(state)[row].nonzero()[:, 0].tolist()
    for action in some.sample(actions, min(4, len(actions))):
        move = referee_move(board, action)
        name = game.san(state, action, index=row)
        assert name == board.san(move), board.fen()
        assert game.move_name(state, action, index=row) == move.uci()
        assert game.find_move(state, name, index=row) == game.find_move(state, move.uci(), index=row) == action


def plain_observation(board: chess.Board, viewer: bool, max_plies: int) -> NDArray[np.float32]:
    """The 119 planes of a game as one player sees them, written square by square."""
    planes = np.zeros((119, 8, 8), np.float32)
    past = board.copy()
    for age in range(min(8, 1 + len(board.move_stack))):
        for square, piece in past.piece_map().items():
            row = square // 8 if viewer == chess.WHITE else 7 - square // 8
            plane = 14 * age + piece.piece_type - 1 + (0 if piece.color == viewer else 6)
            planes[plane, row, square % 8] = 1
        planes[14 * age + 12], planes[14 * age + 13] = past.is_repetition(2), past.is_repetition(3)
        if past.move_stack:
            past.pop()
    planes[112] = viewer == chess.BLACK
    for plane, side in ((113, viewer), (115, not viewer)):
        planes[plane] = board.has_kingside_castling_rights(side)
        planes[plane + 1] = board.has_queenside_castling_rights(side)
    planes[117] = board.ply() / max_plies
    planes[118] = board.halfmove_clock / 100
    return planes


def compare_observations(game: Chess, state: ChessState, board: chess.Board, row: int) -> None:
    """Both players' observations of one board."""
    one = select(state, torch.tensor([row]))
    for player in (0, 1):
        plain = plain_observation(board, player == 0, game.max_plies)
        assert np.array_equal(game.observe(one, torch.tensor([player]))[0].numpy(), plain), board.fen()


def random_games(
    game: Chess, count: int, *, claims: bool, seed: int, detail: int = 100, plies: int = 100_000
) -> Counter[str]:
    """Plays `count` random games side by side, of so many plies at most, and compares every position.

    Returns how they ended.

    In a quarter of them moves are often taken back, for repetitions. Every `detail`-th position has its names and both
    observations compared as well.
    """
    some = random.Random(seed)
    state, boards = game.initial(count, CPU), [chess.Board() for _ in range(count)]
    numbers = list(range(count))
    ends: Counter[str] = Counter()
    while boards and plies >= 0:
        plies -= 1
        verdicts = compare(game, state, boards, claims)
        slots = game.legal_actions(state).tolist()
        chosen = []
        for row, (board, found) in enumerate(zip(boards, verdicts, strict=True)):
            ends["positions"] += 1
            if ends["positions"] % detail == 0:
                compare_names(game, state, board, row, some)
                compare_observations(game, state, board, row)
            if found != "running":
                ends[found] += 1
                continue
            actions = [action for action in slots[row] if action >= 0]
            action = some.choice(actions)
            if numbers[row] % 4 == 0 and len(board.move_stack) > 1 and some.random() < 0.5:
                last = board.move_stack[-2]
                back = chess.Move(last.to_square, last.from_square)
                action = next((a for a in actions if referee_move(board, a) == back), action)
            chosen.append(action)
            board.push(referee_move(board, action))
        rows = [row for row, found in enumerate(verdicts) if found == "running"]
        # Games that are over leave the batch.
        running = select(state, torch.tensor(rows, dtype=torch.int64))
        state = game.step(running, torch.tensor(chosen, dtype=torch.int64))
        boards, numbers = [boards[row] for row in rows], [numbers[row] for row in rows]
    return ends
