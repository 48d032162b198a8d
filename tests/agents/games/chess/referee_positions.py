"""Random positions, with more castling, en passant, pins and checks than random games have, against python-chess."""

import random
from collections import Counter

import chess
import torch

from agents.games import select
from agents.games.chess import chess as make_chess
from tests.agents.games.chess.referee import CPU, compare, compare_names, referee_move

_PIECES = (chess.PAWN,) * 4 + (chess.KNIGHT, chess.BISHOP, chess.ROOK, chess.QUEEN)
_ROOKS = ((chess.A1, chess.E1), (chess.H1, chess.E1), (chess.A8, chess.E8), (chess.H8, chess.E8))
# What our FEN refuses as well.
_WRONG = (
    chess.STATUS_PAWNS_ON_BACKRANK
    | chess.STATUS_TOO_MANY_WHITE_PAWNS
    | chess.STATUS_TOO_MANY_BLACK_PAWNS
    | chess.STATUS_OPPOSITE_CHECK
    | chess.STATUS_INVALID_EP_SQUARE
)


def random_positions(count: int, *, seed: int) -> Counter[str]:
    """Compares `count` random positions and those after a move, special ones preferred; returns what they had."""
    some = random.Random(seed)
    boards: list[chess.Board] = []
    while len(boards) < count:
        board = _random_board(some)
        if board is not None:
            boards.append(board)
    game = make_chess(max_plies=20_000, claims=False)
    state = game.from_fen([board.fen(en_passant="fen") for board in boards], CPU)
    seen: Counter[str] = Counter()
    for ply in range(2):
        verdicts = compare(game, state, boards, claims=False)
        for row in range(0, len(boards), 10):
            compare_names(game, state, boards[row], row, some)
        for board in boards:
            legal, pseudo = board.has_legal_en_passant(), board.has_pseudo_legal_en_passant()
            seen["en passant"] += legal
            seen["en passant pinned"] += pseudo and not legal
            seen["double check"] += len(board.checkers()) > 1
            seen["castling"] += any(board.is_castling(move) for move in board.legal_moves)
        seen.update(verdicts)
        running = [row for row, verdict in enumerate(verdicts) if verdict == "running"]
        if ply == 0:
            state, boards = select(state, torch.tensor(running)), [boards[row] for row in running]
            slots = game.legal_actions(state).tolist()
            state = game.step(state, torch.tensor([_played(some, b, s) for b, s in zip(boards, slots, strict=True)]))
    return seen


def _played(some: random.Random, board: chess.Board, slots: list[int]) -> int:
    """Plays a random move on the referee's board, mostly a special one where there is one; returns its action."""
    moves = {referee_move(board, action): action for action in slots if action >= 0}
    special = [m for m in moves if m.promotion or board.is_castling(m) or board.is_en_passant(m)]
    move = some.choice(special if special and some.random() < 0.7 else list(moves))
    board.push(move)
    return moves[move]


def _random_board(some: random.Random) -> chess.Board | None:
    board = chess.Board(None)
    squares = some.sample(range(64), 64)
    white, black = (home if some.random() < 0.4 else squares.pop() for home in (chess.E1, chess.E8))
    if white == black:
        return None
    for colour, square in ((chess.WHITE, white), (chess.BLACK, black)):
        board.set_piece_at(square, chess.Piece(chess.KING, colour))
    for colour in chess.COLORS:
        for _ in range(some.choice((0, 1, 2, 4, 8, 12))):
            square, kind = squares.pop(), some.choice(_PIECES)
            if board.piece_at(square) is None:
                board.set_piece_at(square, chess.Piece(kind, colour))
    for rook, king in _ROOKS:
        colour = rook < 8
        if board.king(colour) == king and some.random() < 0.5:
            if board.piece_at(rook) is None:
                board.set_piece_at(rook, chess.Piece(chess.ROOK, colour))
            if board.piece_at(rook) == chess.Piece(chess.ROOK, colour):
                board.castling_rights |= chess.BB_SQUARES[rook]
    board.turn = some.random() < 0.5
    if some.random() < 0.7:
        _double_step(some, board)
    return None if board.status() & _WRONG or _too_many(board) else board


def _double_step(some: random.Random, board: chess.Board) -> None:
    """A pawn that has just moved two squares, often beside pawns that might capture it."""
    step, rank = (8, 4) if board.turn else (-8, 3)
    file = some.randrange(8)
    square = 8 * rank + file
    if any(board.piece_type_at(s) == chess.KING for s in (square, square + step, square + 2 * step)):
        return
    board.set_piece_at(square, chess.Piece(chess.PAWN, not board.turn))
    for behind in (square + step, square + 2 * step):
        board.remove_piece_at(behind)
    for beside in (file - 1, file + 1):
        if 0 <= beside < 8 and some.random() < 0.6 and board.piece_at(8 * rank + beside) is None:
            board.set_piece_at(8 * rank + beside, chess.Piece(chess.PAWN, board.turn))
    board.ep_square = square + step


def _too_many(board: chess.Board) -> bool:
    """More pieces than promotions give."""
    for colour in chess.COLORS:
        count = {kind: len(board.pieces(kind, colour)) for kind in chess.PIECE_TYPES}
        start = {chess.KNIGHT: 2, chess.BISHOP: 2, chess.ROOK: 2, chess.QUEEN: 1}
        if count[chess.PAWN] + sum(max(0, count[kind] - n) for kind, n in start.items()) > 8:
            return True
    return False
