"""What one board of chess shows a person."""

from collections import Counter

from agents.games.board import EMPTY, Board
from agents.games.chess.bits import flipped
from agents.games.chess.fen import board_letters
from agents.games.chess.state import CHECKMATE, OBSERVED, RESULTS, RUNNING, ChessState

PLAYERS = ("White", "Black")
_FULL = Counter({"p": 8, "n": 2, "b": 2, "r": 2, "q": 1, "k": 1})


def last_move_squares(state: ChessState, *, index: int = 0) -> frozenset[int]:
    """The squares, as White sees them, that the last move changed; none where the history does not know it."""
    plies = int(state.plies[index])
    now, before = (state.boards[index, ply % OBSERVED] for ply in (plies, plies - 1))
    if not before[:6].any():
        return frozenset()
    # The mover's pieces of either kind of owner; who was to move then is not to move now, and saw the board turned.
    mine, theirs = now[:6] & now[6], now[:6] & ~now[6]
    turned = flipped(before[None])[0]
    changes = (mine ^ (turned[:6] & ~turned[6])) | (theirs ^ (turned[:6] & turned[6]))
    words = changes.tolist()
    return frozenset(s ^ 56 * (plies % 2) for s in range(64) if any(word >> s & 1 for word in words))


def captured(state: ChessState, *, index: int = 0) -> tuple[str, str]:
    """Letters of the missing pieces of White and of Black, as after captures; promoted pawns count as missing."""
    present = Counter(board_letters(state.position, index=index))
    missing = []
    for side in (str.upper, str.lower):
        missing.append("".join(side(kind) * max(0, full - present[side(kind)]) for kind, full in _FULL.items()))
    return missing[0], missing[1]


def result_text(state: ChessState, *, index: int = 0) -> str:
    """Whose turn it is, or how the game ended."""
    outcome, black = int(state.outcome[index]), int(state.plies[index]) % 2
    if outcome == RUNNING:
        return f"{PLAYERS[black]} to move"
    return f"{PLAYERS[1 - black]} wins: checkmate" if outcome == CHECKMATE else f"draw: {RESULTS[outcome]}"


def board_of(state: ChessState, *, index: int = 0) -> Board:
    """What one board shows White: capitals for White, the squares of the last move, captures below."""
    letters = board_letters(state.position, index=index)
    grid = [letters[8 * rank : 8 * rank + 8] for rank in reversed(range(8))]
    white, black = captured(state, index=index)
    taken = f"; off the board: {' '.join(filter(None, (white, black)))}" if white or black else ""
    return Board(
        owners=[[int(letter.islower()) if letter else EMPTY for letter in row] for row in grid],
        surface="squares",
        signs=grid,
        row_names="87654321",
        column_names="abcdefgh",
        last=frozenset((7 - square // 8, square % 8) for square in last_move_squares(state, index=index)),
        status=result_text(state, index=index) + taken,
    )
