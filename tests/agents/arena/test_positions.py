"""Positions files and grades, against hand-made boards."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.arena.position_evaluation import calibrate, evaluate_moves, evaluate_positions
from agents.arena.positions import Positions, read
from agents.arena.shipped import shipped
from agents.games import Game, make
from agents.search.root import SearchResult
from lab.errors import UserError

CPU = torch.device("cpu")
HEADER = "moves,c1,c2,c3,c4,c5,c6,c7\n"
GAME = make("connect_four")


def write(folder: Path, text: str) -> Path:
    path = folder / "positions.csv"
    path.write_bytes(text.encode())
    return path


def complaint(folder: Path, text: str, game: Game = GAME) -> str:
    with pytest.raises(UserError) as caught:
        read(write(folder, text), game)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_moves_lead_from_the_empty_board_to_the_position(tmp_path: Path) -> None:
    positions = read(write(tmp_path, HEADER + "443,0,1,2,-3,4,5,6\n,0,0,0,1,0,0,0\n"), GAME)
    state = positions.states
    assert GAME.plies(state).tolist() == [3, 0]
    assert GAME.render(state, 0).splitlines()[4:6] == [". . . O . . .", ". . X X . . ."]
    assert positions.scores[0].tolist() == [0, 1, 2, -3, 4, 5, 6]


def test_full_columns_are_marked_x(tmp_path: Path) -> None:
    positions = read(write(tmp_path, HEADER + "111111,x,1,1,1,1,1,1\n"), GAME)
    assert positions.scores[0, 0] == Positions.ILLEGAL


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + "\r\n44,0,0,0,0,0,0,0\r\n\r\n"
    assert len(read(write(tmp_path, text), GAME)) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("4a,0,0,0,0,0,0,0", "move 2 is 'a', not a column 1-7"),
        ("48,0,0,0,0,0,0,0", "move 2 is '8', not a column 1-7"),
        ("4²,0,0,0,0,0,0,0", "move 2 is '²', not a column 1-7"),
        ("1111111,x,0,0,0,0,0,0", "move 7 is column 1, which is full"),
        ("12121213,0,0,0,0,0,0,0", "move 8 comes after the end of the game"),
        ("1212121,0,0,0,0,0,0,0", "the game is over after these moves"),
        ("44,0,0,0", "3 scores instead of 7"),
        ("44,0,0,0,0,0,0,0,0", "8 scores instead of 7"),
        ("44", "0 scores instead of 7"),
        ("44,0,0,0.5,0,0,0,0", "the score of column 3 is '0.5', neither a whole number nor x"),
        ("44,0,0,,0,0,0,0", "the score of column 3 is '', neither a whole number nor x"),
        ("44,0,0,x,0,0,0,0", "column 3 is open and its score is x"),
        ("111111,1,0,0,0,0,0,0", "column 1 is full and its score is not x"),
        ("1" * 60 + ",x,0,0,0,0,0,0", "move 7 is column 1, which is full"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str, reason: str) -> None:
    message = complaint(tmp_path, HEADER + "44,0,0,0,0,0,0,0\n" + line + "\n")
    assert message.endswith(f"line 3: {reason}")


def test_lines_are_counted_in_the_file_after_quoted_line_breaks(tmp_path: Path) -> None:
    quoted = '"a\nb",44,0,0,0,0,0,0,0\n'
    message = complaint(tmp_path, "set," + HEADER + quoted * 2 + '"a\nb",4a,0,0,0,0,0,0,0\n')
    assert message.endswith("line 6: move 2 is 'a', not a column 1-7")


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    message = complaint(tmp_path, HEADER + "9,0,0,0,0,0,0,0\n" * 8)
    assert re.findall(r"line (\d+)", message) == ["2", "3", "4", "5", "6"]
    assert message.endswith("and 3 more such lines")


def test_a_wrong_header_is_shown_with_the_right_one(tmp_path: Path) -> None:
    message = complaint(tmp_path, "move,c1\n44,0\n")
    assert "must be moves,c1,c2,c3,c4,c5,c6,c7, not move,c1" in message


@pytest.mark.parametrize(("text", "reason"), [("", "is empty"), (HEADER, "no positions")])
def test_a_file_without_positions_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in complaint(tmp_path, text)


def test_missing_unreadable_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "absent.csv", GAME)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path, GAME)
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "image.csv", GAME)


def test_a_run_of_another_game_is_told_so(tmp_path: Path) -> None:
    assert "the run plays tic_tac_toe" in complaint(tmp_path, HEADER + "44,0,0,0,0,0,0,0\n", make("tic_tac_toe"))


def test_the_shipped_positions_are_500_that_matter() -> None:
    positions = shipped(GAME)
    assert len(positions) == 500
    assert not GAME.done(positions.states).any()
    # Whoever can win at once has a larger score there than anywhere it does not.
    wins = torch.stack([GAME.reward(GAME.step(positions.states, torch.full((500,), a))).amax(1) for a in range(7)], 1)
    wins = (wins > 0) & GAME.legal(positions.states)
    best = positions.scores.amax(1, keepdim=True)
    assert wins.any()
    assert (positions.scores.expand(-1, 7)[wins] == best.expand(-1, 7)[wins]).all()


def test_excluded_positions_are_found_by_the_board_mirrored_or_not(tmp_path: Path) -> None:
    rows = ",0,0,0,0,0,0,0\n".join(["123", "321", "567", "132", "444", ""])
    positions = read(write(tmp_path, HEADER + rows), GAME)
    left = positions.without(positions.take(torch.tensor([0])))
    assert left.states.cells.tolist() == positions.states.cells[[3, 4]].tolist()


def test_grades_count_class_score_and_what_can_be_failed(tmp_path: Path) -> None:
    rows = [
        "a,44,5,3,0,-1,0,0,0",  # won: column 1 is best, column 2 keeps the class
        "a,45,2,2,2,2,2,2,2",  # cannot be failed
        "b,46,-1,-2,-2,-2,-2,-2,-2",  # lost: the class cannot be failed, the score can
        "b,11111122222233,x,x,0,-1,-1,-1,-1",  # drawn
    ]
    positions = read(write(tmp_path, "set," + HEADER + "\n".join(rows)), GAME)
    moves = evaluate_moves(positions, torch.tensor([1, 0, 1, 3]))
    assert (moves.optimal_outcome.overall, moves.optimal_score.overall) == (0.75, 0.25)
    assert (moves.nontrivial_outcome.overall, moves.nontrivial_score.overall) == (0.5, 0.0)
    assert moves.optimal_outcome.by_phase == {"0-14": 0.75, "15-28": None, "29+": None}
    assert moves.optimal_outcome.by_set == {"a": 1.0, "b": 0.5}
    assert moves.nontrivial_outcome.by_set == {"a": 1.0, "b": 0.0}


def test_an_illegal_choice_keeps_nothing(tmp_path: Path) -> None:
    positions = read(write(tmp_path, HEADER + "111111,x,-1,-1,-1,-1,-1,-1\n"), GAME)
    moves = evaluate_moves(positions, torch.tensor([0]))
    assert (moves.optimal_outcome.overall, moves.optimal_score.overall) == (0.0, 0.0)


def test_a_value_that_is_right_on_average_is_calibrated() -> None:
    right = calibrate(torch.tensor([0.5] * 4 + [1.0]), torch.tensor([1, 1, 1, -1, 1]))
    assert right.expected_error == pytest.approx(0.0)
    assert right.brier == pytest.approx((3 * 0.25**2 + 0.75**2) / 5)
    assert right.mean_value == {"won": pytest.approx(0.625), "drawn": None, "lost": 0.5}
    wrong = calibrate(torch.tensor([1.0, -1.0]), torch.tensor([-1, 1]))
    assert (wrong.expected_error, wrong.brier) == (2.0, 1.0)
    assert right.mean_error == pytest.approx((3 * 0.5 + 1.5) / 5)
    assert wrong.mean_error == 2.0


@dataclass(frozen=True)
class Rule:
    """Searches to column 4, alone to column 1, and values everything at 0.3."""

    name: str = "rule"
    game: Game = GAME
    device: torch.device = CPU

    def evaluate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(observation), 7), torch.full((len(observation),), 0.3)

    def decide(self, state: Any, simulations: int) -> SearchResult:
        batch = len(GAME.plies(state))
        zeros = torch.zeros(batch, 7)
        return SearchResult(
            torch.full((batch,), 3 if simulations else 0),
            zeros,
            zeros[:, 0],
            zeros,
            zeros,
            torch.arange(7).expand_as(zeros),
        )


def test_evaluation_in_chunks_equals_evaluation_at_once() -> None:
    positions = shipped(GAME).take(torch.arange(50))
    done: list[int] = []
    at_once = evaluate_positions(Rule(), positions, simulations=8)
    chunked = evaluate_positions(Rule(), positions, simulations=8, chunk=7, progress=done.append)
    assert at_once == chunked
    assert sum(done) == 50
    assert at_once.searched == evaluate_moves(positions, torch.full((50,), 3))
    assert at_once.network_alone == evaluate_moves(positions, torch.zeros(50, dtype=torch.int64))


def test_the_report_in_json_has_the_promised_keys() -> None:
    report = evaluate_positions(Rule(), shipped(GAME).take(torch.arange(20)), simulations=8).as_json()
    assert set(report) == {
        "optimal_outcome", "optimal_score", "nontrivial", "network_alone", "calibration", "positions", "simulations"
    }  # fmt: skip
    assert set(report["optimal_outcome"]) == {"overall", "by_phase"}
    assert set(report["optimal_outcome"]["by_phase"]) == {"0-14", "15-28", "29+"}
    assert set(report["nontrivial"]) == {"optimal_outcome", "optimal_score"}
    assert set(report["network_alone"]) == {"optimal_outcome", "optimal_score", "nontrivial"}
    assert (report["positions"], report["simulations"]) == (20, 8)
