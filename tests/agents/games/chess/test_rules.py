"""Rules that random games seldom reach, as tables of moves and positions."""

import pytest
import torch

from agents.games.chess import Chess, chess
from agents.games.chess.state import RESULTS, ChessState
from agents.games.moves import state_after

CPU = torch.device("cpu")
SHUFFLE = ["Nf3", "Nf6", "Ng1", "Ng8"]


def after(game: Chess, fen: str, *moves: str) -> ChessState:
    """The state after moves from a position."""
    state = game.from_fen([fen], CPU)
    for move in moves:
        action = game.find_move(state, move)
        assert action is not None, f"{move} in {game.fen(state)}"
        state = game.step(state, torch.tensor([action]))
    return state


def result(state: ChessState) -> str:
    return RESULTS[int(state.outcome)]


def names(game: Chess, state: ChessState) -> set[str]:
    return {game.move_name(state, a) for a in game.legal(state)[0].nonzero()[:, 0].tolist()}


@pytest.mark.parametrize(("claims", "times"), [(True, 3), (False, 5)])
def test_a_position_that_occurs_often_enough_ends_the_game(claims: bool, times: int) -> None:
    game = chess(claims=claims)
    almost = SHUFFLE * (times - 1)
    assert result(state_after(game, almost[:-1], CPU)) == "running"
    assert result(state_after(game, almost, CPU)) == "repetition"


def test_a_position_whose_castling_was_lost_is_another_one() -> None:
    game = chess()
    start = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
    moves = ["Rb1", "Rb8", "Ra1", "Ra8"]
    # The position after two plies is the first in which neither side may castle to the queen's side.
    assert result(after(game, start, *moves * 2, "Rb1")) == "running"
    assert result(after(game, start, *moves * 2, "Rb1", "Rb8")) == "repetition"


@pytest.mark.parametrize(
    ("start", "counts"),
    [
        # Black may capture en passant only once, in the first position after e2e4.
        ("4k2n/8/8/8/3p4/8/4P3/4K2N w - - 0 1", False),
        # The pawn is pinned to its king, or stands elsewhere: no capture, and the first position counts.
        ("3k3n/8/8/8/3p4/8/4P3/3RK2N w - - 0 1", True),
        ("4k2n/8/8/2p5/8/8/4P3/4K2N w - - 0 1", True),
    ],
)
def test_en_passant_tells_positions_apart_only_where_it_is_legal(start: str, counts: bool) -> None:
    game = chess()
    moves = ["e4", *["Ng6", "Ng3", "Nh8", "Nh1"] * 2]
    assert (result(after(game, start, *moves)) == "repetition") == counts


@pytest.mark.parametrize(
    ("start", "move", "legal"),
    [
        # Both pawns leave the rank, and the rook attacks the king.
        ("8/8/8/K2pP2r/8/8/8/4k3 w - d6 0 2", "e5d6", False),
        ("8/8/8/K1PpP2r/8/8/8/4k3 w - d6 0 2", "e5d6", True),
        # Pinned along the diagonal on which it captures, and across it.
        ("3k4/6b1/8/3pP3/8/2K5/8/8 w - d6 0 2", "e5d6", False),
        ("3k4/2b5/8/3pP3/5K2/8/8/8 w - d6 0 2", "e5d6", True),
        # The pawn that gives check is captured; another check is not answered.
        ("3k4/8/8/3pP3/4K3/8/8/8 w - d6 0 2", "e5d6", True),
        ("3k4/8/8/3pP3/8/4Kr2/8/8 w - d6 0 2", "e5d6", False),
    ],
)
def test_en_passant_that_exposes_the_king_is_illegal(start: str, move: str, legal: bool) -> None:
    game = chess()
    state = game.from_fen([start], CPU)
    assert (move in names(game, state)) == legal
    assert game.fen(state).split()[3] == ("d6" if legal else "-")


@pytest.mark.parametrize(
    ("start", "castles"),
    [
        ("4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", {"e1g1", "e1c1"}),
        ("4k3/8/8/8/8/8/8/R3K2R w K - 0 1", {"e1g1"}),
        ("1r2k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", {"e1g1", "e1c1"}),  # the rook may pass an attacked square
        ("3rk3/8/8/8/8/8/8/R3K2R w KQ - 0 1", {"e1g1"}),  # the king may not
        ("4kr2/8/8/8/8/8/8/R3K2R w KQ - 0 1", {"e1c1"}),
        ("4k3/4r3/8/8/8/8/8/R3K2R w KQ - 0 1", set()),  # nor castle out of check
        ("4k1r1/8/8/8/8/8/8/R3K2R w KQ - 0 1", {"e1c1"}),  # nor into it
        ("4k3/8/8/8/8/8/8/RN2K1NR w KQ - 0 1", set()),
        ("r3k2r/8/8/8/8/8/8/4K3 b kq - 0 1", {"e8g8", "e8c8"}),
    ],
)
def test_castling(start: str, castles: set[str]) -> None:
    game = chess()
    assert names(game, game.from_fen([start], CPU)) & {"e1g1", "e1c1", "e8g8", "e8c8"} == castles


def test_castling_is_lost_with_the_king_the_rook_and_its_capture() -> None:
    game, start = chess(), "r3k2r/8/8/8/8/8/6B1/R3K2R w KQkq - 0 1"
    for moves, rights in (
        (["Kf1"], "kq"),
        (["Rb1"], "Kkq"),
        (["Bxa8"], "KQk"),
        (["O-O", "O-O-O"], "-"),
        (["Rxh8+"], "Qq"),
    ):
        assert game.fen(after(game, start, *moves)).split()[2] == rights


@pytest.mark.parametrize(
    ("fen", "dead"),
    [
        ("4k3/8/8/8/8/8/8/4K3 w - - 0 1", True),
        ("4k3/8/8/8/8/8/8/4K1N1 w - - 0 1", True),
        ("4kb2/8/8/8/8/8/8/4K3 w - - 0 1", True),
        ("4kb2/8/8/8/8/8/8/2B1K3 w - - 0 1", True),  # both on dark squares
        ("2b1k3/8/8/8/8/8/8/2B1K3 w - - 0 1", False),
        ("4k3/8/8/8/8/8/8/1N2K1N1 w - - 0 1", False),
        ("4k1n1/8/8/8/8/8/8/4K1N1 w - - 0 1", False),
        ("4k3/8/8/8/8/8/8/2B1K1N1 w - - 0 1", False),
        ("4k3/8/8/8/8/8/4P3/4K3 w - - 0 1", False),
        ("4k3/8/8/8/8/8/8/4K2R w - - 0 1", False),
    ],
)
def test_insufficient_material(fen: str, dead: bool) -> None:
    game = chess()
    assert (result(game.from_fen([fen], CPU)) == "insufficient material") == dead


@pytest.mark.parametrize(
    ("claims", "clock", "move", "end"),
    [
        (True, 98, "Ra2", "running"),
        (True, 99, "Ra2", "moves without progress"),
        (True, 99, "Ra8", "checkmate"),  # the mate counts
        (True, 99, "Rxb1", "running"),
        (False, 99, "Ra2", "running"),
        (False, 149, "Ra2", "moves without progress"),
    ],
)
def test_moves_without_progress(claims: bool, clock: int, move: str, end: str) -> None:
    state = after(chess(claims=claims), f"6k1/5ppp/8/8/8/8/8/Rb5K w - - {clock} 100", move)
    assert result(state) == end


def test_stalemate_is_a_draw_and_mate_wins() -> None:
    game = chess()
    stalemate, mate = after(game, "k7/8/1K6/8/8/8/8/2Q5 w - - 0 1", "Qc7"), state_after(game, "f3 e5 g4 Qh4", CPU)
    assert (result(stalemate), game.reward(stalemate).tolist()) == ("stalemate", [[0, 0]])
    assert (result(mate), game.reward(mate).tolist()) == ("checkmate", [[-1, 1]])


def test_a_game_of_max_plies_is_drawn() -> None:
    game = chess(max_plies=4)
    assert result(state_after(game, "f3 e5 a3", CPU)) == "running"
    assert result(state_after(game, "f3 e5 a3 a6", CPU)) == "limit of plies"
    assert result(state_after(game, "f3 e5 g4 Qh4", CPU)) == "checkmate"


def test_the_position_with_the_most_moves_fills_all_slots() -> None:
    game = chess()
    state = game.from_fen(["R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1"], CPU)
    slots = game.legal_actions(state)[0]
    assert slots.shape == (218,) and torch.equal(slots, game.legal(state)[0].nonzero()[:, 0])
