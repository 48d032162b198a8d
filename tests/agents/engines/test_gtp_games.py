"""Other games than Go over GTP: vertices, GoGui's rules extension, whole games."""

import pytest
import torch

from agents.engines.vertices import GAMES, Coordinates, check_game, find_move, legal_moves, move_name
from agents.games import make
from agents.games.moves import state_after
from lab.errors import UserError
from tests.agents.engines.clients import gtp
from tests.agents.small_alphazero import CPU
from tests.agents.small_games import OPTIONS, small


@pytest.mark.parametrize("coordinates", list(Coordinates))
@pytest.mark.parametrize("name", GAMES)
def test_every_legal_move_is_found_by_its_name(name: str, coordinates: Coordinates) -> None:
    game = small(name)
    state = game.initial(1, CPU)
    for ply in range(4):
        legal = legal_moves(game, state, coordinates)
        assert len(legal) == int(game.legal(state).sum())
        for text, action in legal.items():
            assert find_move(game, state, text.swapcase(), coordinates) == action
        action = list(legal.values())[ply % len(legal)]
        assert move_name(game, state, action, coordinates) in legal
        state = game.step(state, torch.tensor([action]))


# Rows count from the bottom and there is no letter I: GoGui draws the vertices of every game so.
@pytest.mark.parametrize(
    ("name", "options", "moves", "move", "vertex"),
    [
        ("go", {"size": 9}, "", "J1", "J1"),
        ("gomoku", {"size": 15}, "", "i2", "J2"),
        ("othello", {"size": 8}, "", "d3", "D6"),
        ("hex", {"size": 11}, "", "b1", "B11"),
        ("hex", {"size": 11}, "a1", "c1", "C11"),  # the second player sees the board mirrored
        ("hex", {"size": 11}, "a1", "swap", "swap-pieces"),
        ("connect_four", {}, "44", "4", "D3"),
        ("tic_tac_toe", {}, "", "1", "A3"),
    ],
)
def test_vertices(name: str, options: dict[str, int], moves: str, move: str, vertex: str) -> None:
    game = make(name, **options)
    state = state_after(game, moves, CPU)
    action = game.find_move(state, move)
    assert action is not None
    assert move_name(game, state, action) == vertex and find_move(game, state, vertex) == action
    assert find_move(game, state, move, Coordinates.game) == action


def test_games_without_an_engine_protocol() -> None:
    with pytest.raises(UserError, match="no engine protocol has the game breakthrough: GTP is for go, othello"):
        check_game(make("breakthrough"))
    with pytest.raises(UserError, match="letters for 25 columns"):
        check_game(make("connect_four", columns=26))


def test_the_rules_extension_tells_board_moves_and_result_of_connect_four() -> None:
    with gtp("connect_four") as client:
        assert client.gtp("gogui-rules_game_id") == "= connect_four"
        assert client.gtp("gogui-rules_board_size") == "= 7 6"
        assert client.gtp("boardsize 7") == "=" and client.gtp("rectangular_boardsize 7 6") == "="
        assert client.gtp("gogui-play_sequence b d1 w d2") == "="
        assert client.gtp("gogui-rules_legal_moves") == "= A1 B1 C1 D3 E1 F1 G1"
        board = client.gtp("gogui-rules_board").removeprefix("= ").split("\n")
        assert board[-2:] == [". . . O . . .", ". . . X . . ."] and len(board) == 6
        assert client.gtp("gogui-rules_side_to_move") == "= black"
        assert client.gtp("gogui-rules_final_result") == "="
        assert client.gtp("play w a1") == "? illegal move: it is the turn of black"
        assert client.gtp("genmove w") == "? illegal move: it is the turn of black"
        assert client.gtp("gogui-play_sequence b a1 w a2 b b1 w b2 b c1") == "="
        assert client.gtp("gogui-rules_final_result") == "= black wins"
        assert client.gtp("gogui-rules_legal_moves") == "="
        assert client.gtp("final_score") == "= B+1"
        assert client.gtp("genmove w") == "? the game is over"
        assert client.gtp("undo") == "=" and client.gtp("final_score").startswith("? cannot score")


def test_the_swap_and_the_geometry_of_hex() -> None:
    with gtp("hex", size=3) as client:
        assert client.gtp("gogui-rules_board_size") == "= 3 3 hex"
        assert client.gtp("play b b3") == "="
        assert client.gtp("gogui-rules_legal_moves").endswith("swap-pieces")
        assert client.gtp("play w swap") == "="
        # The stone of b1, seen from the other side, is a2: a white stone that connects left and right.
        assert client.gtp("gogui-rules_board") == "= . . .\nO . .\n. . ."


@pytest.mark.parametrize(
    ("name", "coordinates"),
    [*((name, Coordinates.gtp) for name in GAMES if name != "go"), ("hex", Coordinates.game)],
)
def test_an_engine_plays_itself_to_the_end_by_the_rules_extension(name: str, coordinates: Coordinates) -> None:
    """The controller knows no rules: it asks, as GoGui does, and passes each move to a second engine."""
    options = OPTIONS.get(name, {}) | ({"rows": 4, "columns": 4, "length": 3} if name == "connect_four" else {})
    settings = {"simulations": 1, "coordinates": coordinates, **options}
    with gtp(name, **settings) as one, gtp(name, **settings) as other:
        for _ in range(200):
            legal = one.gtp("gogui-rules_legal_moves").removeprefix("=").split()
            if not legal:
                break
            side = one.gtp("gogui-rules_side_to_move").removeprefix("= ")
            move = one.gtp(f"genmove {side}").removeprefix("= ")
            assert move in legal
            assert other.gtp(f"play {side} {move}") == "="
            assert one.gtp("gogui-rules_board") == other.gtp("gogui-rules_board")
        assert one.gtp("gogui-rules_final_result") == other.gtp("gogui-rules_final_result") != "="


def test_a_board_is_shown_with_the_coordinates_in_use() -> None:
    with gtp("othello", size=4) as client:
        assert client.gtp("showboard").split("\n")[:3] == ["=    A B C D", " 4 . . . .", " 3 . O X ."]
    with gtp("othello", size=4, coordinates=Coordinates.game) as client:
        assert client.gtp("showboard").split("\n")[1] == "2 . O X ."


def test_analysis_names_the_moves_of_a_line_as_they_are_when_their_turn_comes() -> None:
    with gtp("connect_four", rows=4, columns=1, length=2) as client:
        client.send("kata-analyze 1")
        assert client.line() == "="
        while not (line := client.line() or "").endswith("pv A1 A2 A3 A4"):
            assert "pv A1" in line
        client.send("")
        client.answer()


def test_analysis_of_another_game_than_go() -> None:
    with gtp("othello", size=4) as client:
        client.send("lz-analyze 1", "")
        assert client.line() == "=" and client.answer().startswith("info move ")
        assert client.gtp("rivals-policy").startswith("= ")
        assert client.gtp("kata-get-rules") == "? the rules are not those of Go"
        assert client.gtp("fixed_handicap 2") == "? othello has no handicap"
        assert client.gtp("final_status_list alive") == "? othello has no life and death"
