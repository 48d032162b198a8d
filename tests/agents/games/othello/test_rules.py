"""Othello against plain rules on NumPy boards and against OpenSpiel, and cases that players know."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from agents import games
from agents.games import select
from agents.games import test_game as check_game
from agents.games.othello import Othello, OthelloState
from agents.games.testing import random_playout
from lab.errors import UserError
from tests.agents.games.othello.plain_othello import PlainOthello

CPU = torch.device("cpu")


def play(game: Othello, moves: str) -> OthelloState:
    """The state after legal moves such as "d3 c5"."""
    state = game.initial(1, CPU)
    for name in moves.split():
        action = game.find_move(state, name)
        assert action is not None, f"{name} is illegal:\n{game.render(state, 0)}"
        state = game.step(state, torch.tensor([action]))
    return state


def random_actions(game: Othello, state: OthelloState, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    legal = game.legal(state).numpy()
    return np.asarray((rng.random(legal.shape) * legal).argmax(1))


def compare(size: int, boards: int, seed: int) -> Counter[str]:
    """Play random games on both; returns what happened in them."""
    game, plain, rng = Othello(size), PlainOthello(size, boards), np.random.default_rng(seed)
    state, seen = game.initial(boards, CPU), Counter[str]()
    while True:
        colours = {player: np.full(boards, 1 - 2 * player, np.int8) for player in (0, 1)}
        cells = [plain.open_cells(colours[player]) for player in (0, 1)]
        rows, mover = np.arange(boards), plain.plies % 2
        both = np.stack(cells)
        own, other = both[mover, rows], both[1 - mover, rows]
        can, other_can = (np.asarray(side.any(1), bool) for side in (own, other))
        over, must_pass = ~can & ~other_can, ~can & other_can
        legal = np.concatenate([own, must_pass[:, None]], 1)
        assert np.array_equal(game.legal(state).numpy(), legal)
        assert np.array_equal(game.done(state).numpy(), over)
        assert np.array_equal(game.plies(state).numpy(), plain.plies)
        assert np.array_equal(game.reward(state).numpy(), plain.reward(over))
        for player in (0, 1):
            sides = [plain.boards == 1 - 2 * player, plain.boards == 2 * player - 1, cells[player], cells[1 - player]]
            planes = np.stack(sides, 1).reshape(boards, 4, size, size)
            assert np.array_equal(game.observe(state, torch.full((boards,), player)).numpy(), planes)
        seen["passes"] += int(must_pass.sum())
        if over.all():
            seen.update(np.sign(plain.boards.sum(1)).tolist())
            seen["not full"] += int((plain.boards == 0).any(1).sum())
            return seen
        actions = random_actions(game, state, rng)
        plain.play(actions, ~over)
        state = game.step(state, torch.from_numpy(actions))


@pytest.mark.parametrize("size", [4, 6])
def test_random_games_agree_with_plain_rules(size: int) -> None:
    assert compare(size, 40, 0)["passes"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [6, 8])
def test_300_random_games_agree_with_plain_rules_and_end_in_every_way(size: int) -> None:
    seen = compare(size, 300, 1)
    assert min(seen[end] for end in (1, 0, -1, "not full")) > 0  # type: ignore[index]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("size", "boards"), [(4, 1000), (6, 10_000), (8, 2000)])
def test_10_000_random_games_agree_with_plain_rules(size: int, boards: int) -> None:
    for seed in range(0, boards, 500):
        compare(size, 500, 100 + seed)


def agree_with_openspiel(boards: int, seed: int) -> None:
    """Random games: legal actions, discs as both players see them, ends and results."""
    pyspiel = pytest.importorskip("pyspiel")
    game, referee, rng = Othello(8), pyspiel.load_game("othello"), np.random.default_rng(seed)
    state = game.initial(boards, CPU)
    theirs = [referee.new_initial_state() for _ in range(boards)]
    players = [torch.full((boards,), player) for player in (0, 1)]
    while True:
        legal, done = game.legal(state).numpy(), game.done(state).numpy()
        views, reward = [game.observe(state, player).numpy() for player in players], game.reward(state).numpy()
        for b, one in enumerate(theirs):
            assert one.is_terminal() == done[b]
            assert one.returns() == reward[b].tolist()
            assert one.is_terminal() or one.legal_actions() == np.flatnonzero(legal[b]).tolist()
            for player, view in enumerate(views):
                # OpenSpiel: empty cells, the player's discs, the opponent's.
                seen = np.array(one.observation_tensor(player)).reshape(3, 8, 8)
                assert np.array_equal(view[b, :2], seen[1:])
        if done.all():
            return
        actions = random_actions(game, state, rng)
        for b in np.flatnonzero(~done).tolist():
            theirs[b].apply_action(int(actions[b]))
        state = game.step(state, torch.from_numpy(actions))


def test_random_games_agree_with_openspiel() -> None:
    agree_with_openspiel(8, 0)


@pytest.mark.slow
def test_300_random_games_agree_with_openspiel() -> None:
    agree_with_openspiel(300, 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_10_000_random_games_agree_with_openspiel() -> None:
    for seed in range(100, 120):
        agree_with_openspiel(500, seed)


def test_invariants() -> None:
    check_game(Othello(4), boards=32)


@pytest.mark.slow
@pytest.mark.parametrize("size", [6, 8])
def test_invariants_of_the_usual_sizes(size: int) -> None:
    check_game(Othello(size))


def test_black_has_the_usual_four_first_moves() -> None:
    game = Othello()
    state = game.initial(1, CPU)
    assert [game.move_name(state, int(a)) for a in game.legal(state)[0].nonzero()[:, 0]] == ["d3", "c4", "f5", "e6"]


def test_shortest_game_leaves_white_without_discs() -> None:
    # The shortest game: nine moves, all discs black.
    game = Othello()
    state = play(game, "e6 f4 e3 f6 g5 d6 e7 f5 c5")
    assert bool(game.done(state)) and game.reward(state).tolist() == [[1, -1]]
    assert int(game.margin(state)) == 13
    assert game.render(state, 0).endswith("black 13, white 0; black wins by 13")


def test_all_eight_directions_and_the_corner_of_bit_63() -> None:
    game = Othello()
    # A white disc on each neighbour of d4, black ones behind them: one move captures all eight.
    words = {1: 0, -1: 0}
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down or right:
                words[-1] |= 1 << (8 * (3 + down) + 3 + right)
                words[1] |= 1 << (8 * (3 + 2 * down) + 3 + 2 * right)
    # A diagonal from a1 to h8, whose word is negative: black takes h8 and six discs.
    for corner, end in ((63, 0), (0, 63), (56, 7), (7, 56)):
        line = range(min(corner, end), max(corner, end) + 1, 9 if {corner, end} == {0, 63} else 7)
        white = sum(1 << cell for cell in line if cell not in (corner, end))
        assert captured(game, corner, 1 << end, white) == white
    assert captured(game, 27, words[1], words[-1]) == words[-1]


def captured(game: Othello, cell: int, own: int, other: int) -> int:
    from agents.games.othello.bitboard import bitboard

    signed = [word - (1 << 64) if word >> 63 else word for word in (1 << cell, own, other)]
    return int(bitboard(game.size, CPU).captured(*(torch.tensor([word]) for word in signed))) % (1 << 64)


def test_board_as_text() -> None:
    game = Othello(6)
    assert game.render(play(game, "c2 b2"), 0) == (
        "1 . . . . . .\n"
        "2 .(O)X . . .\n"
        "3 . . O X . .\n"
        "4 . . X O . .\n"
        "5 . . . . . .\n"
        "6 . . . . . .\n"
        "  a b c d e f\n"
        "black 3, white 3; black to move"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, "size must be 4, 6 or 8, not 7"),
        ({"size": 10}, "size must be 4, 6 or 8, not 10"),
        ({"size": "8"}, "option size must be int"),
        ({"size": 8.0}, "option size must be int"),
        ({"rows": 8}, "its options are: size"),
    ],
)
def test_bad_options_say_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make("othello", **options)


def test_moves_are_read_in_either_case_and_only_where_legal() -> None:
    game = Othello()
    state = game.initial(1, CPU)
    assert game.find_move(state, "D3") == game.find_move(state, " d3 ") == 19
    assert game.find_move(state, "a1") is game.find_move(state, "pass") is game.find_move(state, "z9") is None


def test_a_position_as_a_diagram_plays_on_as_the_game_did() -> None:
    game = Othello(6)
    for state in random_playout(game, 24, 4).states[::5]:
        for board in range(24):
            read = game.from_diagram(game.diagram(state, board), CPU)
            one = select(state, torch.tensor([board]))
            assert torch.equal(read.discs, one.discs) and torch.equal(read.moves, one.moves)
            assert torch.equal(game.player(read), game.player(one)) and torch.equal(game.reward(read), game.reward(one))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("..../.... X", "a position has 4 rows with / between them, not 2"),
        ("..../.OX./.X0./.... X", "row 3 is '.X0.', not 4 signs"),
        ("..../.OX./.XO./....", "after the rows comes X or O"),
        ("..../.OX./.X../.... X", "at least 4 discs, not 3"),
    ],
)
def test_a_bad_diagram_says_why(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Othello(4).from_diagram(text, CPU)
