"""FEN in and out, and the mistakes that it names."""

import pytest
import torch

from agents.games import make
from agents.games.chess import chess
from agents.games.chess.fen import INITIAL
from agents.games.moves import state_after
from agents.games.testing import same
from lab.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "fen",
    [
        INITIAL,
        "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq f6 0 3",
        "r3k2r/8/8/8/3pP3/8/8/R3K2R b Kq e3 0 30",
        "8/8/4k3/8/8/3K4/8/7q b - - 77 141",
    ],
)
def test_a_position_is_written_as_it_was_read(fen: str) -> None:
    game = chess()
    assert game.fen(game.from_fen([fen], CPU)) == fen


def test_positions_of_a_batch_are_those_alone() -> None:
    game, fens = chess(), [INITIAL, "8/8/4k3/8/8/3K4/8/7q b - - 77 141"]
    both = game.from_fen(fens, CPU)
    assert [game.fen(both, index) for index in range(2)] == fens
    assert same(type(both)(*(field[1:] for field in both)), game.from_fen(fens[1:], CPU))


def test_the_initial_position_read_is_the_initial_state() -> None:
    game = chess()
    assert same(game.from_fen([INITIAL], CPU), game.initial(1, CPU))


def test_counters_may_be_left_out() -> None:
    game = chess()
    assert game.fen(game.from_fen(["8/8/4k3/8/8/3K4/8/7q b - -"], CPU)).endswith("b - - 0 1")


def test_the_double_step_before_en_passant_is_seen() -> None:
    game = chess()
    played = state_after(game, "e4 a6 e5 d5", CPU)
    read = game.from_fen([game.fen(played)], CPU)
    # The two latest positions, without their counts of repetition.
    for first in (0, 14):
        planes = slice(first, first + 12)
        assert torch.equal(game.observe(read)[:, planes], game.observe(played)[:, planes])
    assert not game.observe(read)[:, 28:112].any()


@pytest.mark.parametrize(
    ("fen", "message"),
    [
        ("", "0 fields instead of 6"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP w KQkq - 0 1", "7 ranks instead of 8"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPP/RNBQKBNR w KQkq - 0 1", "rank 2 has 7 squares"),
        ("rnbqkbnr/pppppppp/8/9/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "'9' in rank 5 is no piece"),
        ("rnbqkbnr/pppppppp/44p/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "rank 6 has 9 squares"),
        ("rnbq1bnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQ - 0 1", "Black has 0 kings"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNK w Q - 0 1", "White has 2 kings"),
        ("rnbqkbnr/pppppppp/8/8/8/P7/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "White has more pieces than 8 pawns"),
        ("rnbqkbnr/pppppppp/8/8/8/Q7/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "White has more pieces than 8 pawns"),
        ("P3k3/8/8/8/8/8/8/4K3 w - - 0 1", "a pawn is on the first or last rank"),
        (INITIAL.replace(" w ", " x "), "the side to move is 'x'"),
        (INITIAL.replace("KQkq", "KX"), "castling is 'KX'"),
        ("4k3/8/8/8/8/8/8/4K3 w K - 0 1", "castling K needs a king on e1 and a rook on h1"),
        (INITIAL.replace(" - ", " e3 "), "en passant is 'e3'; write a square of rank 6"),
        (INITIAL.replace(" - ", " e6 "), "no pawn has just moved two squares over e6"),
        (INITIAL.replace("0 1", "-1 1"), "the half-move clock is '-1'"),
        (INITIAL.replace("0 1", "0 0"), "the move number is '0', not a number from 1"),
        (INITIAL.replace("0 1", "0 ²"), "the move number is"),
        ("4k3/4R3/8/8/8/8/8/4K3 w - - 0 1", "the side that is not to move is in check"),
        ("8/8/8/3kK3/8/8/8/8 w - - 0 1", "the side that is not to move is in check"),
    ],
)
def test_a_fen_that_breaks_the_rules_says_why(fen: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        chess().from_fen([INITIAL, fen], CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_plies": 0}, "max_plies must be 1 to"),
        ({"max_plies": True}, "max_plies must be int"),
        ({"claims": 1}, "claims must be bool"),
        ({"positions": 9}, "positions must be 1 to 8, not 9"),
        ({"start": "8/8/8/8"}, "FEN '8/8/8/8'"),
        ({"start": INITIAL.replace(" w ", " b ")}, "White is to move in the position `start`"),
        ({"start": "4k3/8/8/8/8/8/8/4K3 w - - 0 1"}, "the game is over in the position `start`"),
    ],
)
def test_options_that_cannot_be_say_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make("chess", **options)


def test_games_begin_at_the_position_start() -> None:
    game = make("chess", start="4k3/8/8/8/8/8/4P3/4K3 w - - 12 40")
    state = game.initial(2, CPU)
    assert game.plies(state).tolist() == [0, 0]
    assert chess().fen(state, 1) == "4k3/8/8/8/8/8/4P3/4K3 w - - 12 1"
