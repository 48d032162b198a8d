"""Go: tables of cases that players know."""

from typing import Any, Literal

import pytest
import torch

from agents import games
from agents.games.go import Go, GoState
from agents.games.go.area import connected_regions
from agents.games.go.geometry import geometry
from lab.errors import UserError

CPU = torch.device("cpu")
RULES: tuple[Literal["positional", "simple"], ...] = ("positional", "simple")
SIGNS = {".": 0, "X": 1, "O": -1}


def position(game: Go, diagram: str, player: int = 0) -> GoState:
    rows = [[SIGNS[sign] for sign in line.split()] for line in diagram.strip().splitlines()]
    return game.setup(torch.tensor([rows], dtype=torch.int8), player)


def play(game: Go, moves: str, state: GoState | None = None) -> GoState:
    """The state after legal moves such as "A1 pass"."""
    state = game.initial(1, CPU) if state is None else state
    for name in moves.split():
        action = game.find_move(state, name)
        assert action is not None, f"{name} is illegal:\n{game.render(state, 0)}"
        state = game.step(state, torch.tensor([action]))
    return state


def may(game: Go, state: GoState, name: str) -> bool:
    return game.find_move(state, name) is not None


def stones(game: Go, state: GoState) -> list[str]:
    """The board's rows without coordinates and marks."""
    return [" ".join(".XO"[owner + 1] for owner in row) for row in game.board(state).owners]


def rows(diagram: str) -> list[str]:
    return [line.strip() for line in diagram.strip().splitlines()]


CAPTURES = {
    "a stone in the corner": (". . .\n. . .\nO X .", 0, "A2", ". . .\nX . .\n. X ."),
    "four chains at once": (
        ". . X . .\n. X O X .\nX O . O X\n. X O X .\n. . X . .", 0, "C3",
        ". . X . .\n. X . X .\nX . X . X\n. X . X .\n. . X . .",
    ),
    "a chain on two sides of the point": (
        ". O X .\nO O X .\nX X X .\n. . . .", 0, "A4", "X . X .\n. . X .\nX X X .\n. . . .",
    ),
    "a whole board around one point": ("O O O\nO . O\nO O O", 0, "B2", ". . .\n. X .\n. . ."),
    "by white": ("X X X\nX . X\nX X X", 1, "B2", ". . .\n. O .\n. . ."),
    "two chains, and a third keeps a liberty": (
        ". X X O .\nX O O X .\nX O . O X\n. X X X .\n. . . . .", 0, "C3",
        ". X X O .\nX . . X .\nX . X . X\n. X X X .\n. . . . .",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "player", "move", "after"), CAPTURES.values(), ids=CAPTURES)
def test_captures(before: str, player: int, move: str, after: str) -> None:
    game = Go(len(before.splitlines()), komi=0.5)
    state = position(game, before, player)
    assert stones(game, play(game, move, state)) == rows(after)


LIFE = ". X . X O\nX X X X O\nO O O O O\n. . . . .\n. . . . ."
SUICIDES = {
    "one stone in a corner": (". O .\nO . .\n. . .", 0, "A3", False),
    "fills an eye but keeps a liberty": (". X O\nX . O\nO O O", 0, "A3", True),
    "captures two chains": (". O X .\nO X X .\nX . . .\n. . . .", 0, "A4", True),
    "fills the last eye": (". X O .\nX X O .\nO O O .\n. . . .", 0, "A4", False),
    "takes the chain with one eye": (". X O .\nX X O .\nO O O .\n. . . .", 1, "A4", True),
    "two eyes live": (LIFE, 1, "A5", False),
    "two eyes live, the other": (LIFE, 1, "C5", False),
}


@pytest.mark.parametrize(("diagram", "player", "move", "legal"), SUICIDES.values(), ids=SUICIDES)
def test_suicide_is_illegal(diagram: str, player: int, move: str, legal: bool) -> None:
    game = Go(len(diagram.splitlines()), komi=0.5)
    assert may(game, position(game, diagram, player), move) == legal


KO = ". X O .\nX O . O\n. X O .\n. . . ."


@pytest.mark.parametrize("rule", ["simple", "positional"])
def test_a_ko_is_taken_back_only_after_another_move(rule: Any) -> None:
    game = Go(4, komi=0.5, ko=rule)
    taken = play(game, "C3", position(game, KO))
    assert stones(game, taken) == rows(". X O .\nX . X O\n. X O .\n. . . .")
    assert not may(game, taken, "B3") and taken.banned.sum() == 1
    # A threat and its answer: the ko may be taken again.
    threat = play(game, "A1 D1", taken)
    assert may(game, threat, "B3")
    assert stones(game, play(game, "B3", threat))[1] == "X O . O"
    # Then black may not.
    assert not may(game, play(game, "B3", threat), "C3")


def test_snapback() -> None:
    game = Go(5, komi=0.5)
    start = position(game, ". . . . .\n. . . . .\nX X X . .\nO O O X .\n. . O X .")
    # Black throws in, white takes the stone and is left with one liberty.
    state = play(game, "B1 A1", start)
    assert state.captures.tolist() == [[0, 1]]
    assert not state.banned.any()  # no ko: more stones are taken back
    after = play(game, "B1", state)
    assert after.captures.tolist() == [[5, 1]]
    assert stones(game, after) == rows(". . . . .\n. . . . .\nX X X . .\n. . . X .\n. X . X .")


def test_sending_two_returning_one_is_stopped_by_superko_only() -> None:
    diagram = ". X . X .\nO O X . .\n. O X . .\nO O X . .\n. O X . ."
    for rule in RULES:
        game = Go(5, komi=0.5, ko=rule)
        state = play(game, "A5 C5", position(game, diagram))
        assert state.captures.tolist() == [[0, 2]]
        assert may(game, state, "B5") == (rule == "simple")
        assert state.banned.sum() == (rule == "positional")
    # Without superko the cycle goes on until the limit of moves, and the board is counted.
    assert stones(game, play(game, "B5", state)) == rows(diagram)
    state = play(game, "B5 pass" + " A5 C5 B5 pass" * 11 + " A5 C5", state)
    assert state.captures.tolist() == [[12, 26]]
    assert game.done(state)


TRIPLE_KO = """
. X O . . . . . .
X O . O . . . . .
. X O . . . . . .
. X O . . . . . .
X . X O . . . . .
. X O . . . . . .
. X O . . . . . .
X O . O . . . . .
. X O . . . . . .
"""


def test_triple_ko_is_stopped_by_superko_only() -> None:
    for rule in RULES:
        game = Go(9, komi=0.5, ko=rule)
        state = play(game, "C8 B5 C2 B8 C5", position(game, TRIPLE_KO))
        assert may(game, state, "B2") == (rule == "simple")
    assert stones(game, play(game, "B2", state)) == rows(TRIPLE_KO)


SEKI = """
X X O X . X .
X . O X X X X
X . O X . . .
X X O X . . .
O O X X X . .
. O O O X . .
O . O O X . .
"""


def test_seki() -> None:
    game = Go(7, komi=0.5)
    start = position(game, SEKI)
    # Who moves first there is captured.
    assert play(game, "B6 B5", start).captures.tolist() == [[0, 7]]
    assert play(game, "pass B6 B5", start).captures.tolist() == [[5, 0]]
    # The two shared liberties are nobody's: 19 stones and 14 points against 12 and 2.
    assert play(game, "pass pass", start).score.tolist() == [19 + 14 - 12 - 2]


def test_dead_stones_count_as_alive() -> None:
    # The white stone in black's area is dead for players; by Tromp-Taylor it must be captured first.
    game = Go(5, komi=0.5)
    diagram = ". . X . .\n. O X . .\n. . X . .\nX X X . .\n. . . . ."
    state = play(game, "pass pass", position(game, diagram))
    # The 5 empty points in the corner border on both colours.
    assert state.score.tolist() == [6 + 13 - 1]
    assert game.reward(state).tolist() == [[1, -1]]


@pytest.mark.parametrize(
    ("komi", "first"),
    [(24.5, 1), (25.0, 0), (25.5, -1), (-25.0, 1)],
    ids=["half less", "equal", "half more", "negative"],
)
def test_komi(komi: float, first: int) -> None:
    game = Go(5, komi=komi)
    state = play(game, "C3 pass pass")
    assert state.score.tolist() == [25]
    assert game.reward(state).tolist() == [[first, -first]]


def test_an_empty_board_is_nobodys() -> None:
    state = play(Go(9, komi=0.0), "pass pass")
    assert state.score.tolist() == [0]


def test_a_game_that_is_too_long_is_counted() -> None:
    game = Go(3, komi=0.5, max_plies=3)
    state = play(game, "B2 pass A1")
    assert game.done(state) and game.reward(state).tolist() == [[1, -1]]
    assert not game.legal(state).any()


def test_regions_of_mazes_are_found_in_a_fixed_number_of_rounds() -> None:
    size = 19
    board = geometry(size, CPU)
    mazes = torch.zeros(4, size, size, dtype=torch.int8)
    mazes[0, 1::4, :-1], mazes[0, 3::4, 1:] = 1, 1  # one path that turns at each side
    mazes[1] = mazes[0].T
    mazes[2, 1::2, 1::2] = 1  # a lattice
    row = column = 0  # a spiral
    turns = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    spiral = torch.ones(size, size, dtype=torch.int8)
    spiral[0, 0], turn = 0, 0
    while True:
        for _ in range(2):
            down, right = turns[turn % 4]
            ahead, further = (row + down, column + right), (row + 2 * down, column + 2 * right)
            inside = all(0 <= x < size for x in ahead)
            clear = not all(0 <= x < size for x in further) or spiral[further] == 1
            if inside and clear and spiral[ahead] == 1:
                break
            turn += 1
        else:
            break
        row, column = ahead
        spiral[row, column] = 0
    mazes[3] = spiral
    cells = board.empty.repeat(4, 1)
    cells[:, board.cells[:-1]] = mazes.flatten(1)
    regions = connected_regions(board, cells == 0)
    assert [len(regions[b][cells[b] == 0].unique()) for b in range(4)] == [1, 1, 1, 1]
    assert not regions[cells != 0].any()


def test_a_position_without_liberties_is_refused() -> None:
    with pytest.raises(UserError, match="without liberties"):
        position(Go(3, komi=0.5), "X O .\nO . .\n. . .")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, "size must be from 2 to 19, not 1"),
        ({"size": 20}, "size must be from 2 to 19, not 20"),
        ({"komi": 7.25}, "komi must be a multiple of 0.5"),
        ({"komi": "7.5"}, "komi must be float"),
        ({"komi": float("nan")}, "komi must be"),
        ({"ko": "super"}, "ko must be"),
        ({"positions": 0}, "positions must be from 1 to 64"),
        ({"max_plies": 0}, "max_plies must be from 1"),
        ({"handicap": 2}, "its options are: size, komi, ko, positions, max_plies"),
    ],
)
def test_bad_options_say_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make("go", **options)


def test_the_board_as_text() -> None:
    game = Go(9, komi=7.5)
    state = play(game, "E5 J9 A1 pass C3 A2 B1")
    assert game.render(state, 0) == (
        "9 . . . . . . . . O\n"
        "8 . . . . . . . . .\n"
        "7 . . + . . . + . .\n"
        "6 . . . . . . . . .\n"
        "5 . . . . X . . . .\n"
        "4 . . . . . . . . .\n"
        "3 . . X . . . + . .\n"
        "2 O . . . . . . . .\n"
        "1 X(X). . . . . . .\n"
        "  A B C D E F G H J\n"
        "black captured 0, white captured 0; white to move"
    )
    ended = play(game, "pass pass", state)
    assert game.render(ended, 0).endswith("black captured 0, white captured 0; area black +2, komi 7.5: W+5.5")
    assert "pass; black to move" in game.render(play(game, "pass", state), 0)


def test_coordinates_are_those_of_gtp() -> None:
    names = Go(19).action_names
    assert (names[0], names[8], names[18], names[-2], names[-1]) == ("A19", "J19", "T19", "T1", "pass")
    game = Go(5)
    state = game.initial(1, CPU)
    assert [game.find_move(state, text) for text in ("a5", "E1", "PASS", "i3", "F1", "A0")] == [
        0,
        24,
        25,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    "options", [{"size": 3, "komi": 0.5, "positions": 2}, {"size": 4, "komi": 0.5, "ko": "simple", "max_plies": 5}]
)
def test_go_satisfies_the_invariants_of_games(options: dict[str, Any]) -> None:
    games.test_game(games.make("go", **options), boards=6)
