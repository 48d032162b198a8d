"""Go in the Smart Game Format."""

import pytest
import torch

from agents.games.go import Go
from agents.games.go.sgf import read_sgf, write_sgf
from agents.games.moves import play_moves, state_after
from agents.games.testing import random_playout, same
from lab.errors import UserError


def test_a_written_game_is_read_as_the_same_game() -> None:
    game = Go(5, komi=0.5)
    playout = random_playout(game, 3)
    for b in range(3):
        length = int(playout.states[-1].plies[b])
        actions = [int(action[b]) for action in playout.actions[:length]]
        text = write_sgf(game, actions)
        record = read_sgf(text)
        assert record.game.options == game.options
        assert record.actions == actions
        assert same(record.state, type(record.state)(*(field[b : b + 1] for field in playout.states[-1])))
        assert "RE[" in text


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


def test_white_begins_after_handicap_stones() -> None:
    assert read_sgf("(;SZ[9]AB[cc][gg];W[ee])").actions == [40]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no closing parenthesis"),
        ("hello", "cannot read 'hello' at character 1"),
        ("(;SZ[9];B[aa]", "no closing parenthesis"),
        ("()", "no nodes"),
        ("(B[aa])", "outside a node"),
        ("(;GM[2];B[aa])", "GM is '2', which is not Go"),
        ("(;SZ[25];B[aa])", "size must be from 2 to 19"),
        ("(;SZ[9:7];B[aa])", "SZ is '9:7', which is not a number"),
        ("(;KM[six];B[aa])", "KM is 'six', which is not a number"),
        ("(;SZ[9];B[aa];W[zz])", "move 2, 'zz', is no point of a 9x9 board"),
        ("(;SZ[9];B[aa];W[aa])", "move 2, A9, is illegal: the point is occupied"),
        ("(;SZ[9];B[aa];B[bb])", "move 2 is by B, but it is W's turn"),
        ("(;SZ[9];B[];W[];B[aa])", "move 3, A9, is played after the end"),
        ("(;SZ[9]AW[ab][ba];B[aa])", "move 1, A9, is illegal: suicide"),
        ("(;SZ[4]AB[ba][ab][bc]AW[bb][ca][db][cc]PL[B];B[cb];W[bb])", "move 2, B3, is illegal: it repeats an earlier"),
        ("(;SZ[3]AB[aa]AW[ab][ba])", "without liberties"),
        ("(;SZ[9];B[aa];AW[bb])", "set up after move 1"),
    ],
)
def test_a_broken_record_says_what_and_why(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_sgf(text)


def test_options_replace_those_of_the_file() -> None:
    record = read_sgf("(;SZ[5]KM[6.5];B[cc])", ko="simple", komi=0.5)
    assert (record.game.ko, record.game.komi, record.game.size) == ("simple", 0.5, 5)
    assert torch.equal(record.state.plies, torch.tensor([1]))
    with pytest.raises(UserError, match="its board is 19x19, and 9x9 is wanted"):
        read_sgf("(;KM[6.5];B[cc])", size=9)


def test_a_record_is_a_position_wherever_moves_are() -> None:
    game = Go(5, komi=0.5)
    state, actions = play_moves(game, "(;SZ[5]KM[6.5];B[cc];W[];B[ba])", torch.device("cpu"))
    assert [game.action_names[action] for action in actions] == ["C3", "pass", "B5"]
    assert same(state, state_after(game, "C3 pass b5", torch.device("cpu")))
    with pytest.raises(UserError, match="move 2, C3, is illegal: the point is occupied"):
        state_after(game, "(;SZ[5];B[cc];W[cc])", torch.device("cpu"))
    with pytest.raises(UserError, match="its board is 9x9, and 5x5 is wanted"):
        state_after(game, "(;SZ[9];B[cc])", torch.device("cpu"))
