"""Positions and games as text: FEN, PGN and lists of moves, and which move breaks the rules and why."""

import pytest
import torch

from agents.games.chess import chess
from agents.games.moves import play_moves, state_after
from agents.games.testing import same
from lab.errors import UserError

CPU = torch.device("cpu")
OPENING = "e4 e5 Nf3 Nc6 Bb5 a6 Bxc6 dxc6 O-O f6"
PGN = """[Event "A casual game"]
[Result "1-0"]

1. e4 {the king's pawn} e5 2.Nf3 Nc6 3.Bb5 $1 a6 (3... Nf6 4. O-O (4. d3) Nxe4) 4. Bxc6!? dxc6
; a rest of line
5. O-O f6 1-0

[Event "Another"]
1. d4 *
"""


def test_a_pgn_is_its_moves() -> None:
    game = chess()
    state, actions = play_moves(game, PGN, CPU)
    assert same(state, state_after(game, OPENING, CPU))
    assert len(actions) == 10


def test_a_pgn_may_begin_at_a_position_and_have_castling_with_zeros() -> None:
    game = chess()
    state = state_after(game, '[FEN "r3k3/8/8/8/8/8/8/4K2R b Kq - 4 30"]\n30... 0-0-0 31. 0-0+ *', CPU)
    assert game.fen(state) == "2kr4/8/8/8/8/8/8/5RK1 b - - 6 31"


def test_a_fen_is_a_position() -> None:
    game = chess()
    fen = "2kr4/8/8/8/8/8/8/5RK1 b - - 6 31"
    state, actions = play_moves(game, fen, CPU)
    assert game.fen(state) == fen and actions == []


def test_moves_without_numbers_are_uci_or_san() -> None:
    game = chess()
    assert same(state_after(game, "e2e4 e5 g1f3", CPU), state_after(game, "1. e4 e5 2. Nf3", CPU))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1. e4 e5 2. Nf3 Nf3", "move 2 of Black, Nf3, is illegal in chess"),
        ("1. e4 e5 2. Qh9", "move 2 of White is 'Qh9', which is no move of chess"),
        ("1. f3 e5 2. g4 Qh4# 3. a3", "move 3 of White, a3, is illegal in chess: the game is over"),
        ("1. e4 {", "PGN: a comment is not closed"),
        ("1. e4 (1. d4", "PGN: a variation is not closed"),
        ("1. e4 e5) 2. d4", "PGN: a variation is closed that was not opened"),
        ("1. e4 e5\n2. <d4", "PGN: line 2 has '<d4'"),
        ('[FEN "8/8"] 1. e4', "FEN '8/8'"),
        ("8/8/8 w - - 0 1", "3 ranks instead of 8"),
    ],
)
def test_a_record_that_breaks_the_rules_says_which_move(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        play_moves(chess(), text, CPU)
    assert "\n" not in str(caught.value)


PINNED = "4k3/8/8/8/7b/8/5N2/4K2R w K - 0 1"


@pytest.mark.parametrize(
    ("fen", "move", "reason"),
    [
        (PINNED, "Nd3", "White's king would be in check"),
        (PINNED, "f2d3", "White's king would be in check"),
        (PINNED, "Nf5", "the knight on f2 cannot move to f5"),
        (PINNED, "a1a2", "there is no piece on a1"),
        (PINNED, "h4f2", "the bishop on h4 is Black's"),
        (PINNED, "Rh5", "the rook on h1 cannot move to h5"),
        (PINNED, "Qd1", "White has no queen"),
        (PINNED, "Rah3", "White has no rook on the a file"),
        (PINNED, "Ke1", "e1 has a piece of White's own"),
        (PINNED, "hello", None),
        ("4k3/8/8/8/8/8/8/R3K2R b KQ - 0 1", "O-O", "Black has lost the right to castle"),
        ("4kr2/8/8/8/8/8/8/R3K2R w KQ - 0 1", "O-O", "White's king would be in check on its way"),
        ("4kr2/8/8/8/8/8/8/RN2K2R w KQ - 0 1", "e1c1", "b1 must be empty"),
        ("4r1k1/8/8/8/8/8/8/R3K2R w KQ - 0 1", "0-0", "White's king is in check"),
        ("4r1k1/8/8/8/8/8/8/R3K2R w KQ - 0 1", "Ra8", "White's king is in check"),
        ("4k3/P7/8/8/8/8/8/R3K3 w - - 0 1", "a8", "the pawn promotes"),
        ("4k3/8/8/8/8/8/P7/R3K3 w - - 0 1", "a5", "the pawn on a2 cannot move to a5"),
        ("4k3/8/8/8/8/8/P7/R3K3 w - - 0 1", "a2a4q", "the pawn on a2 does not promote"),
        ("4k3/8/8/8/8/8/8/R3K2R w - - 0 1", "Rd1", None),
        ("4k3/8/8/8/8/4K3/8/R6R w - - 0 1", "Rd1", "it may mean a1d1 or h1d1"),
        ("4k3/8/8/8/8/4K3/8/R6R w - - 0 1", "Rd3", "no rook of White's can move to d3"),
    ],
)
def test_why_a_move_cannot_be_played(fen: str, move: str, reason: str | None) -> None:
    game = chess()
    state = game.from_fen([fen], CPU)
    found = game.find_move(state, move)
    if found is None:
        assert (game.why_illegal(state, move) or "None").startswith(reason or "None")
    else:
        assert reason is None
