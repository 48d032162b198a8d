"""Hex against plain rules on NumPy boards and against OpenSpiel, and cases that players know."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from agents import games
from agents.games import concatenate
from agents.games import test_game as check_game
from agents.games.hex import Hex, HexState
from agents.games.testing import random_playout
from lab.errors import UserError
from tests.agents.games.hex.plain_hex import PlainHex

CPU = torch.device("cpu")


def play(game: Hex, moves: str) -> HexState:
    """The state after legal moves such as "a1 swap"."""
    state = game.initial(1, CPU)
    for name in moves.split():
        action = game.find_move(state, name)
        assert action is not None, f"{name} is illegal:\n{game.render(state, 0)}"
        state = game.step(state, torch.tensor([action]))
    return state


def random_actions(game: Hex, state: HexState, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    legal = game.legal(state).numpy()
    weight = rng.random(legal.shape) * legal
    if game.swap:  # every other game has a swap
        weight[:, -1] *= rng.random(len(weight)) * game.cells
    return np.asarray(weight.argmax(1))


def compare(size: int, swap: bool, boards: int, seed: int) -> Counter[str]:
    """Play random games on both; returns how they ended, and the number of swaps."""
    game, plain, rng = Hex(size, swap), PlainHex(size, swap, boards), np.random.default_rng(seed)
    state, seen = game.initial(boards, CPU), Counter[str]()
    while True:
        connected = plain.connected()
        winners = plain.winners(connected)
        assert np.array_equal(game.legal(state).numpy(), plain.legal(winners))
        assert np.array_equal(game.done(state).numpy(), winners != 0)
        assert np.array_equal(game.plies(state).numpy(), plain.plies)
        assert np.array_equal(game.reward(state).numpy(), np.stack([winners, -winners], 1).astype(np.float32))
        for player in (0, 1):
            view = game.observe(state, torch.full((boards,), player)).numpy()
            assert np.array_equal(view, plain.observation(connected, player))
        if winners.all():
            seen["first"], seen["second"] = int((winners == 1).sum()), int((winners == -1).sum())
            return seen
        actions = random_actions(game, state, rng)
        seen["swaps"] += int(((winners == 0) & (actions == game.cells)).sum())
        plain.play(actions, winners == 0)
        state = game.step(state, torch.from_numpy(actions))


@pytest.mark.parametrize(("size", "swap"), [(2, True), (3, True), (5, False), (5, True), (9, True)])
def test_random_games_agree_with_plain_rules(size: int, swap: bool) -> None:
    seen = compare(size, swap, 40, 0)
    assert (seen["swaps"] > 0) == swap


@pytest.mark.slow
@pytest.mark.parametrize(("size", "swap"), [(4, True), (11, True), (12, False)])
def test_300_random_games_agree_with_plain_rules(size: int, swap: bool) -> None:
    seen = compare(size, swap, 300, 1)
    assert min(seen["first"], seen["second"]) > 50


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("size", "swap", "boards"),
    [(3, True, 2000), (4, False, 1000), (5, True, 3000), (7, True, 3000), (11, True, 1000), (19, True, 50)],
)
def test_10_000_random_games_agree_with_plain_rules(size: int, swap: bool, boards: int) -> None:
    for seed in range(0, boards, 500):
        compare(size, swap, min(500, boards - seed), 100 + seed)


def agree_with_openspiel(size: int, boards: int, seed: int) -> None:
    """Random games: legal actions, ends and results, and the stones with their connections."""
    pyspiel = pytest.importorskip("pyspiel")
    game, rng = Hex(size, swap=False), np.random.default_rng(seed)
    referee = pyspiel.load_game("hex", {"board_size": size})
    state = game.initial(boards, CPU)
    theirs = [referee.new_initial_state() for _ in range(boards)]
    mirrored = np.arange(size * size).reshape(size, size).T.ravel()
    while True:
        legal, done, player = (x.numpy() for x in (game.legal(state), game.done(state), game.player(state)))
        reward, view = game.reward(state).numpy(), game.observe(state, torch.zeros(boards, dtype=torch.int64)).numpy()
        for b, one in enumerate(theirs):
            assert one.is_terminal() == done[b]
            assert one.returns() == reward[b].tolist()
            if not done[b]:
                cells = np.flatnonzero(legal[b])
                assert one.legal_actions() == sorted(mirrored[cells] if player[b] else cells)
                assert one.current_player() == player[b]
            planes = connections(one, size)
            # The last stone connects the edges: OpenSpiel does not join the chains any more.
            assert np.array_equal(view[b][[0, 3]] if done[b] else view[b], planes[[0, 3]] if done[b] else planes)
        if done.all():
            return
        actions = random_actions(game, state, rng)
        for b in np.flatnonzero(~done).tolist():
            theirs[b].apply_action(int(mirrored[actions[b]] if player[b] else actions[b]))
        state = game.step(state, torch.from_numpy(actions))


def connections(state: Any, size: int) -> np.ndarray[Any, Any]:
    """Our planes for player 0 from the nine of OpenSpiel, of which each cell is in one."""
    white_won, west, east, white, _, black, south, north, black_won = np.array(state.observation_tensor(0)).reshape(
        9, size, size
    )
    return np.stack([black + north + south + black_won, north, south, white + west + east + white_won, west, east])


def test_random_games_agree_with_openspiel() -> None:
    agree_with_openspiel(5, 8, 0)


@pytest.mark.slow
def test_300_random_games_agree_with_openspiel() -> None:
    agree_with_openspiel(11, 300, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("size", "boards"), [(3, 2000), (5, 3000), (7, 3000), (11, 1900), (19, 100)])
def test_10_000_random_games_agree_with_openspiel(size: int, boards: int) -> None:
    for seed in range(0, boards, 500):
        agree_with_openspiel(size, min(500, boards - seed), 100 + seed)


@pytest.mark.parametrize(("size", "swap"), [(2, True), (3, False), (5, True)])
def test_invariants(size: int, swap: bool) -> None:
    check_game(Hex(size, swap), boards=48)


@pytest.mark.slow
@pytest.mark.parametrize("size", [11, 12])
def test_invariants_of_large_boards(size: int) -> None:
    check_game(Hex(size), boards=16)


def test_a_chain_of_the_first_player_goes_from_top_to_bottom() -> None:
    game = Hex(3, swap=False)
    # b1, a2, a3 go down to the left, where each cell has two neighbours below it.
    assert game.reward(play(game, "b1 c1 a2 c2 a3")).tolist() == [[1, -1]]
    # b1 and c2 only touch at a corner.
    state = play(game, "b1 a1 c2 a2 c3")
    assert not bool(game.done(state))
    assert game.reward(play(game, "b1 a1 c2 a2 c3 a3 b2")).tolist() == [[1, -1]]


def test_a_chain_of_the_second_player_goes_from_left_to_right() -> None:
    game = Hex(3, swap=False)
    assert game.reward(play(game, "a1 a2 c3 b2 b3 c1")).tolist() == [[-1, 1]]


def test_a_swap_mirrors_the_first_stone_and_gives_it_to_the_second_player() -> None:
    game = Hex(4)
    state = play(game, "b1 swap")
    assert game.owners(state) == [0, 0, 0, 0, -1, 0, 0, 0] + 8 * [0]
    assert game.find_move(state, "swap") is None and int(game.player(state)) == 0
    # b1 is free again, and the second player goes on from a2.
    assert game.reward(play(game, "b1 swap b1 b2 a4 c2 b4 d2")).tolist() == [[-1, 1]]


def test_without_the_rule_there_is_no_swap() -> None:
    game = Hex(4, swap=False)
    assert game.num_actions == 16 and game.find_move(play(game, "b1"), "swap") is None


def test_a_ring_of_stones_around_the_new_one() -> None:
    game = Hex(5, swap=False)
    # Black surrounds c3 and then fills it; white's stones lie far apart.
    state = play(game, "c2 a1 d2 b1 d3 c1 c4 e1 b4 a5 b3 e5 c3")
    assert not bool(game.done(state))
    assert game.reward(play(game, "c2 a1 d2 b1 d3 c1 c4 e1 b4 a5 b3 e5 c3 a4 d1 a3 b5")).tolist() == [[1, -1]]


def test_chains_of_large_boards_have_numbers_of_two_bytes() -> None:
    assert Hex(11).initial(1, CPU).chains.dtype == torch.int8
    assert Hex(12).initial(1, CPU).chains.dtype == torch.int16


def test_board_as_text() -> None:
    game = Hex(4)
    assert game.render(play(game, "b1 c2 d4"), 0) == (
        "1 . X . .\n 2 . . O .\n  3 . . . .\n   4 . . .(X)\n      a b c d\nO to move, connects left and right"
    )
    assert game.render(play(game, "b1 swap"), 0).splitlines()[1] == " 2(O). . ."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, "size must be from 2 to 19, not 1"),
        ({"size": 20}, "size must be from 2 to 19, not 20"),
        ({"size": "11"}, "option size must be int"),
        ({"swap": 1}, "option swap must be bool"),
        ({"rows": 8}, "its options are: size, swap"),
    ],
)
def test_bad_options_say_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make("hex", **options)


def test_a_position_as_a_diagram_plays_on_as_the_game_did() -> None:
    game = Hex(4, swap=False)
    states, actions = random_playout(game, 24, 4)[1:]
    for ply in range(6):  # nobody can win before
        read = concatenate([game.from_diagram(game.diagram(states[ply], board), CPU) for board in range(24)])
        for t in range(ply, len(actions)):
            for function in (game.legal, game.observe, game.plies, game.key, game.reward):
                assert torch.equal(function(read), function(states[t]))
            read = game.step(read, actions[t])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".../... X", "a position has 3 rows with / between them, not 2"),
        ("XX./O../... X", "X is to move with 2 X and 1 O"),
        ("XOO/X../X.. O", "X has connected the edges"),
    ],
)
def test_a_bad_diagram_says_why(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Hex(3).from_diagram(text, CPU)
