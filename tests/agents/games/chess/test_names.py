"""Names of moves, written and read, and the text of a board."""

import pytest
import torch

from agents.games.chess import chess
from agents.games.moves import state_after
from lab.errors import UserError

CPU = torch.device("cpu")
GAME = chess()


@pytest.mark.parametrize(
    ("fen", "uci", "san"),
    [
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "g1f3", "Nf3"),
        ("rnbqkbnr/ppp1pppp/8/3p4/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2", "e4d5", "exd5"),
        ("8/8/8/K1PpP3/8/8/8/4k3 w - d6 0 2", "c5d6", "cxd6"),
        ("r3k3/1P6/8/8/8/8/8/4K3 w q - 0 1", "b7a8q", "bxa8=Q+"),
        ("r3k3/1P6/8/8/8/8/8/4K3 w q - 0 1", "b7b8n", "b8=N"),
        ("4k3/8/8/8/8/8/1p6/R3K3 b - - 0 1", "b2a1r", "bxa1=R+"),
        ("4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", "e1c1", "O-O-O"),
        ("5k2/8/8/8/8/8/8/4K2R w K - 0 1", "e1g1", "O-O+"),
        ("4k3/8/8/8/8/8/3N1N2/4K3 w - - 0 1", "d2e4", "Nde4"),
        ("4k3/8/8/N7/8/N7/8/4K3 w - - 0 1", "a5c4", "N5c4"),
        ("4k3/8/8/N7/8/N3N3/8/4K3 w - - 0 1", "a3c4", "Na3c4"),
        ("4k3/8/8/8/1b6/8/3N1N2/4K3 w - - 0 1", "f2e4", "Ne4"),  # the other knight is pinned
        ("6k1/5ppp/8/8/8/8/8/R6K w - - 0 1", "a1a8", "Ra8#"),
    ],
)
def test_uci_and_san_of_a_move(fen: str, uci: str, san: str) -> None:
    state = GAME.from_fen([fen], CPU)
    action = GAME.find_move(state, uci)
    assert action is not None and GAME.move_name(state, action) == uci and GAME.san(state, action) == san
    assert GAME.find_move(state, san) == action


@pytest.mark.parametrize("text", ["Nf3", "Nf3!?", "Ng1f3", "Ngf3", "N1f3", "g1f3"])
def test_a_move_may_be_written_with_more_than_is_needed(text: str) -> None:
    action = GAME.find_move(GAME.initial(1, CPU), text)
    assert action is not None and GAME.move_name(GAME.initial(1, CPU), action) == "g1f3"


@pytest.mark.parametrize("text", ["", "e5", "Ke2", "e2e5", "Nd2", "O-O", "e9", "hello", "e2e4q", "exd3", "-0-17"])
def test_what_names_no_legal_move_is_none(text: str) -> None:
    assert GAME.find_move(GAME.initial(1, CPU), text) is None


def test_an_ambiguous_name_is_none() -> None:
    assert GAME.find_move(GAME.from_fen(["4k3/8/8/8/8/8/3N1N2/4K3 w - - 0 1"], CPU), "Ne4") is None


def test_a_move_list_says_which_move_is_wrong() -> None:
    with pytest.raises(UserError, match="move 3, Nf5, is illegal in chess: no knight of White's can move to f5"):
        state_after(GAME, "e4 e5 Nf5", CPU)


def test_the_board_as_text_has_coordinates_the_last_move_and_captures() -> None:
    text = GAME.render(state_after(GAME, "e4 d5 exd5", CPU), 0)
    assert text.splitlines() == [
        "8 r n b q k b n r",
        "7 p p p . p p p p",
        "6 . . . . . . . .",
        "5 . . .(P). . . .",
        "4 . . . .(.). . .",
        "3 . . . . . . . .",
        "2 P P P P . P P P",
        "1 R N B Q K B N R",
        "  a b c d e f g h",
        "Black to move; off the board: p",
    ]


def test_the_text_of_a_game_that_is_over_says_how() -> None:
    assert GAME.render(state_after(GAME, "f3 e5 g4 Qh4", CPU), 0).endswith("Black wins: checkmate")


def test_the_squares_of_the_last_move_are_marked() -> None:
    assert GAME.board(state_after(GAME, "e4", CPU)).last == {(6, 4), (4, 4)}
    assert GAME.board(state_after(GAME, "e4 e5", CPU)).last == {(1, 4), (3, 4)}
