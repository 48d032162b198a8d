"""The terminal game, driven by a script of typed lines."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.arena.play import GameSession, play
from agents.games import make
from agents.search.root import SearchResult
from lab.terminal.consoles import Console
from tests.agents.games.patrol import Patrol

CPU = torch.device("cpu")
FOUR = make("connect_four")
THREE = make("tic_tac_toe")


@dataclass(frozen=True)
class First:
    """Plays the first legal action and expects three quarters of the points."""

    game: Any = FOUR
    name: str = "first"
    device: torch.device = CPU

    def evaluate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def decide(self, state: Any, simulations: int) -> SearchResult:
        legal = self.game.legal(state)
        action = legal.to(torch.int8).argmax(1)
        policy = torch.nn.functional.one_hot(action, legal.shape[1]).float()
        q = policy - 0.5 if simulations else policy * torch.nan
        every = torch.arange(legal.shape[1]).expand_as(legal)
        return SearchResult(action, policy, torch.full((1,), 0.5), policy * simulations, q, every)


def sit(lines: list[str], side: int = 0, game: Any = FOUR, color: bool = False) -> tuple[str, GameSession]:
    """What a person who types these lines sees, and the session they leave."""
    typed: Iterator[str] = iter(lines)
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=color, color_system="truecolor" if color else None)

    def ask(prompt: str) -> str:
        out.write(prompt)
        line = next(typed, None)
        if line is None:
            raise EOFError
        out.write(line + "\n")
        return line

    session = GameSession(First(game), 8, side)
    play(session, console, ask)
    return out.getvalue(), session


def test_moves_alternate_and_the_board_shows_them() -> None:
    seen, session = sit(["4", "4"])
    assert session.moves == [3, 0, 3, 0]
    assert "│(○) ·  ·  ●  ·  ·  · │" in seen
    assert "the agent plays 1 and expects 75% of the points" in seen


def test_the_agent_begins_when_the_person_is_second() -> None:
    assert sit([], side=1)[1].moves == [0]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("8", "'8' is no move of connect_four here; legal moves are 1, 2, 3, 4, 5, 6, 7"),
        ("0", "'0' is no move"),
        ("-1", "'-1' is no move of connect_four here; did you mean '1'?"),
        ("x", "'x' is no move"),
        ("²", "is no move"),
        ("3.5", "is no move"),
        ("1 2", "'1 2' is no move"),
        ("", "'' is no move"),
        ("[bold]", "'[bold]' is no move"),
        ("level 9999999999", "level takes a whole number"),
        ("level", "level takes a whole number"),
        ("level -2", "level takes a whole number"),
        ("undo", "there is no move of yours to take back"),
    ],
)
def test_a_line_that_makes_no_sense_gets_one_answer_and_another_prompt(typed: str, answer: str) -> None:
    seen, session = sit([typed])
    told = [line for line in seen.splitlines() if answer in line]
    assert len(told) == 1
    assert session.moves == [] and seen.count("your move, such as 1: ") == 2


def test_a_full_column_and_a_taken_cell_are_named() -> None:
    seen, session = sit(["1", "1", "1", "1"])
    assert "1 is illegal in connect_four: the column is full; legal moves are 2, 3, 4, 5, 6, 7" in seen
    assert len(session.moves) == 6
    assert "the cell is taken; legal moves are 3, 4, 5, 6, 7, 8, 9" in sit(["1", "1"], game=THREE)[0]


def test_undo_takes_back_the_move_and_its_answer() -> None:
    assert sit(["4", "5", "undo"])[1].moves == [3, 0]
    assert sit(["4", "5", "undo", "undo", "undo"])[1].moves == []
    assert sit(["4", "undo"], side=1)[1].moves == [0]


def test_a_win_is_told_shown_and_can_be_undone() -> None:
    seen, session = sit(["4", "5", "6", "7"])
    assert "you win" in seen and session.outcome == 1.0
    assert "[●][●][●][●]" in seen
    assert "play again?" in seen
    session = sit(["4", "5", "6", "7", "undo"])[1]
    assert session.moves == [3, 0, 4, 0, 5, 0] and not session.over


def test_a_loss_and_a_new_game() -> None:
    seen, session = sit(["2", "2", "2", "7", "maybe", ""])
    assert "the agent wins" in seen
    assert "the game is over: Enter starts a new one" in seen
    assert session.moves == [] and not session.over


@pytest.mark.parametrize("word", ["n", "quit"])
def test_no_new_game_after_no(word: str) -> None:
    seen, session = sit(["4", "5", "6", "7", word, "1"])
    assert seen.rstrip().endswith("until next time") and session.over


def test_changing_sides_gives_the_move_away() -> None:
    session = sit(["4", "side", "3"])[1]
    # The agent takes over the first stones.
    assert session.side == 1 and session.moves == [3, 0, 0, 2, 0]
    assert sit(["side second", "side first"])[1].side == 0


def test_hints_are_sorted_and_have_values_at_every_level() -> None:
    seen, _ = sit(["level 0", "hint"])
    rows = seen.split("move  expects")[1].splitlines()[1:8]
    assert rows[0].split() == ["1", "75%", "#" * 20]
    assert [row.split()[1] for row in rows[1:]] == ["25%"] * 6


def test_the_expected_line_alternates_and_ends_with_the_game() -> None:
    assert "expected: ●1 ○1 ●1 ○1 ●1 ○1 ●2 ○2 \n" in sit(["line"])[0]
    assert "expected: ●1 ○2 ●3 ○4 ●5 ○6 ●7 \n" in sit(["line"], game=THREE)[0]


def test_a_terminal_without_discs_gets_letters() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    def leave(prompt: str) -> str:
        raise EOFError

    play(GameSession(First(), 8, side=1), Console(file=out), leave)
    out.seek(0)
    assert "|(X) .  .  .  .  .  . |" in out.read()


def test_leaving_is_polite_at_the_end_of_input_and_by_interrupt() -> None:
    assert sit([])[0].endswith("until next time\n")

    def interrupt(prompt: str) -> str:
        raise KeyboardInterrupt

    out = io.StringIO()
    play(GameSession(First(), 8), Console(file=out), interrupt)
    assert out.getvalue().endswith("until next time\n")


def test_levels_and_new_games_and_help() -> None:
    seen, session = sit(["level 5", "4", "new", "help"])
    assert session.simulations == 5 and session.moves == []
    assert "take your last move back" in seen


def test_colour_adds_nothing_but_colour() -> None:
    plain, _ = sit(["4"])
    coloured, _ = sit(["4"], color=True)
    assert "\x1b[" in coloured and "\x1b[" not in plain


def test_a_game_that_has_only_a_text_is_shown_by_it() -> None:
    game = Patrol()
    seen, session = sit(["b2a3", "B1B2", "c1c4"], game=game)
    assert len(session.moves) == 2
    assert "O . O\nO . .\n. X .\nX . X" in seen
    assert "'c1c4' is no move of patrol here" in seen


def test_moves_of_chess_are_typed_in_any_of_its_notations() -> None:
    seen, session = sit(["e2e4", "Nf3", "nf3", "Bc4"], game=make("chess"))
    names = [session.game.move_name(*played) for played in zip(session.states, session.moves, strict=False)]
    assert names[::2] == ["e2e4", "g1f3", "f1c4"]
    assert "your move, such as a2a3: " in seen and "you are White, to move" in seen
    assert "'nf3' is no move of chess here" in seen
    assert "4 │ ·  ·  B  ·  P  ·  ·  · │" in seen


def test_an_illegal_point_of_go_has_its_reason() -> None:
    seen, session = sit(["c3", "C3", "j9", "pass"], game=make("go", size=5))
    assert session.moves == [12, 0, 25, 1]
    assert "C3 is illegal in go: the point is occupied; legal moves are B5, C5" in seen
    assert "'j9' is no move of go here" in seen and "you are black, to move" in seen
    assert "3 │ ·  ·  ●  ·  · │" in seen and "5 │(○) ·  ·  ·  · │" in seen and "captured 0" in seen
