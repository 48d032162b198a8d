"""Games in the Smart Game Format: what is written is read as the same game, and so is what other programs write."""

import re
from typing import Any

import pytest
import torch

from agents.games import make
from agents.games.go import Go
from agents.games.moves import play_moves, state_after
from agents.games.played import PlayedGame
from agents.games.sgf import read_sgf, write_sgf
from agents.games.sgf.tree import main_line, text_of
from agents.games.testing import random_playout, same
from lab.errors import UserError

CPU = torch.device("cpu")
GAMES = [
    Go(5, komi=0.5),
    make("othello", size=6),
    make("hex", size=4),
    make("hex", size=5, swap=False),
    make("gomoku", size=7),
    make("connect_four"),
    make("connect_four", rows=4, columns=9),
]


def played(game: Any, text: str) -> PlayedGame:
    return PlayedGame(game, game.initial(1, CPU), play_moves(game, text, CPU)[1])


@pytest.mark.parametrize("game", GAMES, ids=lambda game: f"{game.name}-{'-'.join(map(str, game.options.values()))}")
def test_a_written_game_is_read_as_the_same_game(game: Any) -> None:
    playout = random_playout(game, 2)
    for b in range(2):
        length = int(game.plies(playout.states[-1])[b])
        actions = [int(action[b]) for action in playout.actions[:length]]
        last = type(playout.states[-1])(*(field[b : b + 1] for field in playout.states[-1]))
        comments = [f"tricky ] \\ (;B[aa]) {ply}" for ply in range(length)]
        values = [0.5 - ply / length for ply in range(length)]
        text = write_sgf(PlayedGame(game, game.initial(1, CPU), actions, values, comments, ("a]b", "c\\")))
        record = read_sgf(text, game)
        assert record.actions == actions and same(record.state, last)
        assert (record.info("PB"), record.info("PW")) == ("a]b", "c\\")
        winner = {1.0: "B+", -1.0: "W+", 0.0: "0"}[float(game.reward(last)[0, 0])]
        assert record.info("RE").startswith(winner)
        nodes = main_line(text)[1:]
        assert [text_of(node["C"][0]) for node in nodes] == [
            f"value {value:+.2f} ({(value + 1) / 2:.0%}); {comment}"
            for value, comment in zip(values, comments, strict=True)
        ]
        # The specification has V from the view of Black.
        for node, value in zip(nodes, values, strict=True):
            assert float(node["V"][0]) == pytest.approx(value if "B" in node else -value, abs=1e-4)
        # In the middle of the game, as after an opening, its stones are set up.
        middle = type(last)(*(field[b : b + 1] for field in playout.states[length // 2]))
        if game.name == "hex" and game.swap and int(playout.actions[1][b]) == game.cells:
            continue  # the position after a swap is none of alternating stones
        read = read_sgf(write_sgf(PlayedGame(game, middle, actions[length // 2 :])), game)
        assert read.actions == actions[length // 2 :]
        assert torch.equal(game.reward(read.state), game.reward(last))


def test_the_rules_are_those_of_the_file_unless_given() -> None:
    for game in GAMES[:5]:
        text = write_sgf(PlayedGame(game, game.initial(1, CPU), []))
        found = read_sgf(text).game
        expected = dict(game.options) | ({"swap": True} if game.name == "hex" else {})
        assert (found.name, found.options) == (game.name, expected)
    record = read_sgf("(;SZ[5]KM[6.5];B[cc])", Go(5, ko="simple", komi=0.5))
    assert (record.game.options["ko"], record.game.options["komi"]) == ("simple", 0.5)
    with pytest.raises(UserError, match="its board is 19x19, and 9x9 is wanted"):
        read_sgf("(;KM[6.5];B[cc])", Go(9))


def test_setup_comments_variations_and_old_names_are_read() -> None:
    text = r"""
    (;GaMe[1]SiZe[9]KM[0.5]C[A (game\] of; Go)]AB[cc][gg]AW[aa:bb]PL[W]
      ;W[ee]C[first];Black[tt](;W[dd];B[])(;W[ff]))
    """
    record = read_sgf(text)
    assert [record.game.action_names[action] for action in record.actions] == ["E5", "pass", "D6", "pass"]
    assert record.start.stones.eq(-1).sum() == 4
    assert record.game.player(record.start).tolist() == [1]
    assert not record.game.done(record.state)


# As the programs write them; the names are made up.
KGS = """(;GM[1]FF[4]CA[UTF-8]AP[CGoban:3]ST[2]
RU[Japanese]SZ[9]HA[2]KM[0.50]TM[1800]OT[5x30 byo-yomi]
PW[white]PB[black]WR[5k]BR[7k]DT[2026-11-01]PC[The KGS Go Server at http://www.gokgs.com/]C[white [5k\\]: hi
]RE[B+Resign]AB[cg][gc]
;W[gg]WL[1795.2]
(;B[cc]BL[1790]C[black [7k\\]: oh
]
;W[ee]WL[1780.1]CR[ee]LB[cc:A])
(;B[dd]))"""
OGS = """(;FF[4]
CA[UTF-8]
GM[1]
DT[2026-11-01]
PC[OGS: https://online-go.com/game/1]
GN[A Friendly Match]
PB[one]
PW[two]
BR[12k]
WR[11k]
TM[600]OT[5x30 byo-yomi]
RE[W+3.5]
SZ[9]
KM[5.5]
RU[Japanese]
;B[ee]
(;W[gc]
(;B[cc]
(;W[]
(;B[]
))))))"""
GOGUI = (
    "(;FF[4]CA[UTF-8]AP[GoGui:1.5.1]SZ[9]KM[6.5]DT[2026-11-01]\n;AB[cc][gg]PL[W]\n;W[gc];B[cg]\n;C[a node of words])"
)
OLD = "Game 5\n\n(;GaMe[1]VieW[]SiZe[9]HAndicap[2];Black[cg];Black[gc];White[ee])"


@pytest.mark.parametrize(
    ("text", "moves", "black_stones"),
    [(KGS, "G3 C7 E5", 2), (OGS, "E5 G7 C7 pass pass", 0), (GOGUI, "G7 C3", 2), (OLD, "E5", 2)],
)
def test_games_of_go_of_other_programs_are_read(text: str, moves: str, black_stones: int) -> None:
    record = read_sgf(text)
    names = [record.game.action_names[action] for action in record.actions]
    assert names == moves.split()
    assert int(record.start.stones.eq(1).sum()) == black_stones
    assert record.game.player(record.start).tolist() == [int(black_stones > 0)]


def test_games_of_hex_are_read_with_points_of_both_forms_and_the_swap() -> None:
    game = make("hex", size=5)
    hexgui = "(;FF[4]AP[HexGui:0.9]GM[11]SZ[5];B[a2];W[swap-pieces];B[c3];W[D4];B[resign])"
    assert same(read_sgf(hexgui, game).state, state_after(game, "a2 swap c3 d4", CPU))
    # On Little Golem White begins: who moves first connects top and bottom.
    golem = "(;FF[4]EV[hex]PB[one]PW[two]SZ[5]RE[B]SO[http://www.littlegolem.com];W[ab];B[swap];W[cc];B[dd])"
    assert same(read_sgf(golem, game).state, state_after(game, "a2 swap c3 d4", CPU))
    with pytest.raises(UserError, match="move 2 swaps, and this game has no swap"):
        read_sgf(hexgui, make("hex", size=5, swap=False))
    with pytest.raises(UserError, match="move 2 is 'swap-sides'; only swap-pieces is known"):
        read_sgf("(;GM[11]SZ[5];B[a2];W[swap-sides])", game)


def test_passes_of_othello_may_be_missing_and_the_first_discs_may_be_set_up() -> None:
    game: Any = make("othello", size=4)
    # Black's second disc leaves White without a move.
    playout = next(p for p in (random_playout(game, 1, seed=s) for s in range(50)) if 16 in map(int, p.actions))
    actions = [int(action) for action in playout.actions]
    text = write_sgf(PlayedGame(game, game.initial(1, CPU), actions))
    assert "[];" in text or "[])" in text
    assert read_sgf(re.sub(r";[BW]\[\]", "", text), game).actions == actions
    whole = text.replace("SZ[4]", "SZ[4]AB[cb][bc]AW[bb][cc]")
    assert read_sgf(whole, game).actions == actions


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("CA[UTF-8]", "utf-8"),
        ("CA[gb2312]", "gb2312"),
        ("", "gb18030"),
        ("CA[Shift_JIS]", "cp932"),
        ("CA[EUC-JP]", "euc_jp"),
        ("CA[Big5]", "big5"),
        ("CA[ISO-8859-1]", "latin-1"),
        ("CA[nonsense-7]", "utf-8"),
        ("", "utf-16"),
        ("", "utf-8-sig"),
    ],
)
def test_names_in_any_encoding_are_read(head: str, encoding: str) -> None:
    names = {"latin-1": "Müller", "big5": "許功蓋", "gb18030": bytes([0x81, 0x5C, 0x81, 0x5D]).decode("gb18030")}
    # The second bytes of some of these look like a backslash or a bracket.
    name = names.get(encoding, "本因坊")
    data = f"(;{head}SZ[9]PB[{name}]C[{name}];B[ee])".encode(encoding)
    record = read_sgf(data)
    assert (record.info("PB"), len(record.actions)) == (name, 1)


def test_bytes_without_a_known_encoding_still_give_the_moves() -> None:
    assert len(read_sgf(b"(;SZ[9]PB[\xff\xfe\xe9\x81];B[ee])").actions) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no closing parenthesis"),
        ("hello", "cannot read 'hello' at character 1"),
        ("(;SZ[9];B[aa]", "no closing parenthesis"),
        ("()", "no nodes"),
        ("(B[aa])", "outside a node"),
        ("(;GM[3];B[aa])", r"GM is '3' \(chess\), not Go, Othello, Gomoku or Hex"),
        ("(;SZ[25];B[aa])", "size must be from 2 to 19"),
        ("(;SZ[9:7];B[aa])", "its board is 9x7, and go has square boards"),
        ("(;SZ[nine];B[aa])", "SZ is 'nine', which is not a number"),
        ("(;KM[six];B[aa])", "KM is 'six', which is not a number"),
        ("(;SZ[9];B[aa];W[zz])", "move 2, 'zz', is no point of a 9x9 board"),
        ("(;SZ[9];B[aa];W[aa])", "move 2, A9, is illegal: the point is occupied"),
        ("(;SZ[9];B[aa];B[bb])", "move 2 is by B, but it is W's turn"),
        ("(;SZ[9];B[];W[];B[aa])", "move 3, aa, is played after the end"),
        ("(;SZ[9]AW[ab][ba];B[aa])", "move 1, A9, is illegal: suicide"),
        ("(;SZ[4]AB[ba][ab][bc]AW[bb][ca][db][cc]PL[B];B[cb];W[bb])", "move 2, B3, is illegal: it repeats an earlier"),
        ("(;SZ[3]AB[aa]AW[ab][ba])", "without liberties"),
        ("(;SZ[9];B[aa];AW[bb])", "set up after move 1"),
        ("(;SZ[9]AB[aa:zz])", "AB 'aa:zz' is no point"),
    ],
)
def test_a_broken_record_says_what_and_why(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_sgf(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "text", "message"),
    [
        ("go", {"size": 9}, "(;GM[2];B[aa])", r"GM is '2' \(Othello\), which is not Go \(GM\[1\]\)"),
        ("connect_four", {}, "(;GM[4]SZ[7:6];B[af])", "is not connect_four"),
        ("connect_four", {}, "(;SZ[6];B[af])", "its board is 6x6, and 7x6 is wanted"),
        ("connect_four", {}, "(;SZ[7:6];B[aa])", "move 1, aa, is illegal: the disc falls to row 6 from the top"),
        ("connect_four", {}, "(;SZ[7:6]AB[aa])", "a disc has an empty cell below it"),
        ("gomoku", {"size": 7}, "(;GM[4]SZ[7]AB[aa][bb]PL[W])", "O is to move with 2 X and 0 O"),
        ("othello", {"size": 6}, "(;GM[2]SZ[6];B[aa])", "move 1, a1, is illegal: it turns no disc"),
        ("hex", {"size": 5}, "(;GM[11]SZ[5];B[a1];W[a1])", "move 2, a1, is illegal: the cell is taken"),
        ("hex", {"size": 5}, "(;GM[11]SZ[5];B[a9])", "move 1, 'a9', is no point of a 5x5 board"),
        ("hex", {"size": 5}, "(;GM[11]SZ[5];B[])", "move 1, '', is no point of a 5x5 board"),
    ],
)
def test_another_game_or_an_illegal_move_is_named(name: str, options: Any, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_sgf(text, make(name, **options))


def test_moves_after_the_end_may_be_left_out() -> None:
    record = read_sgf("(;SZ[9];B[];W[];B[aa];W[bb])", Go(9), beyond_end=True)
    assert (len(record.actions), record.left_out) == (2, 2)
    assert len(read_sgf("(;SZ[9];B[];W[];B[])", Go(9)).actions) == 2  # some rules have a third pass


def test_a_result_that_is_not_on_the_board_is_written() -> None:
    game = Go(5)
    start = game.initial(1, CPU)
    assert "RE[W+R]" in write_sgf(PlayedGame(game, start, [3], winner=1, ending="resignation"))
    assert "RE[B+T]" in write_sgf(PlayedGame(game, start, [3], winner=0, ending="time"))
    assert "RE" not in write_sgf(PlayedGame(game, start, [3]))


def test_a_record_is_a_position_wherever_moves_are() -> None:
    game = Go(5, komi=0.5)
    state, actions = play_moves(game, "(;SZ[5]KM[6.5];B[cc];W[];B[ba])", CPU)
    assert [game.action_names[action] for action in actions] == ["C3", "pass", "B5"]
    assert same(state, state_after(game, "C3 pass b5", CPU))
    with pytest.raises(UserError, match="move 2, C3, is illegal: the point is occupied"):
        state_after(game, "(;SZ[5];B[cc];W[cc])", CPU)
    with pytest.raises(UserError, match="its board is 9x9, and 5x5 is wanted"):
        state_after(game, "(;SZ[9];B[cc])", CPU)
    four = make("connect_four")
    assert same(state_after(four, "(;SZ[7:6];B[df];W[de])", CPU), state_after(four, "44", CPU))
