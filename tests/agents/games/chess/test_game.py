"""Chess as a game of this package: invariants, history in search trees, codes, memory."""

import pytest
import torch

from agents.games import make, select
from agents.games import test_game as check_game
from agents.games.chess import Chess, chess
from agents.games.chess.state import RESULTS, ChessState
from agents.games.codec import decode, encode
from agents.games.moves import state_after
from agents.games.testing import same
from agents.search.memory import tree_bytes
from agents.search.node_states import History, NodeStates

CPU = torch.device("cpu")
MATES = "3qk3/8/8/8/8/8/QQ6/4K2R w K - 0 1"
SHUFFLE = ["Nf3", "Nf6", "Ng1", "Ng8"]


def test_chess_satisfies_the_invariants_of_games() -> None:
    check_game(make("chess", start=MATES, max_plies=20), boards=24)


@pytest.mark.slow
@pytest.mark.parametrize("claims", [True, False])
def test_whole_games_satisfy_the_invariants(claims: bool) -> None:
    check_game(make("chess", max_plies=200, claims=claims), boards=32)


def stored_along_path(game: Chess, moves: list[str], searched: int) -> ChessState:
    """The state after `moves`, of which the last `searched` are nodes of a tree below the root."""
    root = state_after(game, moves[: len(moves) - searched], CPU)
    nodes = NodeStates(root, History(game.history, game.plies(root)), searched + 1)
    path = torch.zeros((1, 1), dtype=torch.int64)
    for number, move in enumerate(moves[len(moves) - searched :], start=1):
        state = nodes.read(path[-1], path)
        action = game.find_move(state, move)
        assert action is not None
        after = game.step(state, torch.tensor([action]))
        nodes.write(slice(number, number + 1), after, game.plies(after))
        path = torch.cat([path, torch.tensor([[number]])])
    return nodes.read(path[-1], path)


@pytest.mark.parametrize("searched", [0, 1, 4, 8])
def test_repetition_and_observation_see_the_game_before_the_search(searched: int) -> None:
    game, moves = chess(), SHUFFLE * 2
    state = stored_along_path(game, moves, searched)
    assert RESULTS[int(state.outcome)] == "repetition"
    assert same(state, state_after(game, moves, CPU))


def test_a_code_plays_on_exactly_as_the_position() -> None:
    game = chess()
    state = state_after(game, SHUFFLE + SHUFFLE[:3], CPU)
    again = decode(game, encode(state))
    last = torch.tensor([game.find_move(state, "Ng8")])
    assert RESULTS[int(game.step(again, last).outcome)] == "repetition"
    assert same(game.step(again, last), game.step(state, last))


def test_positions_without_a_common_past_have_different_keys() -> None:
    game = chess()
    orders = [state_after(game, moves, CPU) for moves in ("e4 e5 Nf3", "Nf3 e5 e4")]
    assert game.fen(orders[0]).split()[0] == game.fen(orders[1]).split()[0]
    assert not torch.equal(*(game.key(state) for state in orders))


@pytest.mark.parametrize("positions", [1, 3])
def test_an_observation_of_fewer_positions_is_a_part_of_the_whole_one(positions: int) -> None:
    moves = "e4 e5 Nf3 Nc6 Bb5 a6 Ba4"
    game, fewer = chess(), chess(positions=positions)
    state = state_after(game, moves, CPU)
    for viewer in (torch.tensor([0]), torch.tensor([1])):
        whole = game.observe(state, viewer)
        expected = torch.cat([whole[:, : 14 * positions], whole[:, 112:]], 1)
        assert torch.equal(fewer.observe(state, viewer), expected)
    assert fewer.observation_shape == (14 * positions + 7, 8, 8)


def test_only_what_is_observed_tells_positions_apart() -> None:
    orders = ("Nf3 Nf6 Nc3", "Nc3 Nf6 Nf3")
    for positions, same_key in ((8, False), (2, False), (1, True)):
        game = chess(positions=positions)
        one, other = (game.key(state_after(game, moves, CPU)) for moves in orders)
        assert torch.equal(one, other) == same_key


def test_the_view_of_a_player_is_that_of_the_mirrored_board_for_the_other() -> None:
    game = chess()
    state = game.from_fen(["r3k3/1P6/8/8/2q5/8/8/4K2R w Kq - 3 9", "4k2r/8/8/2Q5/8/8/1p6/R3K3 b Qk - 3 9"], CPU)
    white, black = select(state, torch.tensor([0])), select(state, torch.tensor([1]))
    bits = slice(0, 112)
    assert torch.equal(game.observe(white)[:, bits], game.observe(black)[:, bits])
    assert torch.equal(game.legal(white), game.legal(black))


def test_trees_of_256_boards_fit_in_a_quarter_of_a_gigabyte() -> None:
    assert tree_bytes(chess(), 256, 64) < 2**28
