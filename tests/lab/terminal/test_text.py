"""Names and data are printed as they are; what a terminal would obey is shown as an escape."""

import io
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from lab.cli.main import main
from lab.errors import UserError
from lab.terminal.consoles import Console
from lab.terminal.streams import say
from lab.terminal.text import LONGEST_LINE, one_line, printable, substitute, without_colours


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("Kätzchen 猫 👩‍🚀 [v2] :ok:", "Kätzchen 猫 👩‍🚀 [v2] :ok:"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31mred", r"\x9b31mred"),
        ("over\rwritten", r"over\rwritten"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u2028b", r"a\u2028b"),
        ("\udcff.png", r"\xff.png"),
        ("\ud800", r"\ud800"),
        ("\x00", r"\x00"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_of_an_error_has_no_line_ends_and_a_bounded_length() -> None:
    assert one_line("two\nlines") == r"two\nlines"
    line = one_line("no run " + 5000 * "n" + "; `lab runs` lists them")
    assert len(line) == LONGEST_LINE
    assert line.startswith("no run nnn")
    assert line.endswith("nnn; `lab runs` lists them")


def test_a_console_prints_texts_and_cells_as_they_are() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    table = Table("[bold]:ok:[/]", box=None)
    table.add_row("[v2]\x1b[31m")
    table.add_row(Text("\x1b]0;a"))
    console.print(table)
    console.print("[link=x]:smile:")
    console.say(100 * "[x] ")
    cells = ["[bold]:ok:[/]", r"[v2]\x1b[31m", r"\x1b]0;a"]
    assert out.getvalue().split() == [*cells, "[link=x]:smile:", *100 * ["[x]"]]
    assert out.getvalue().count("\n") == 5


def test_styles_and_the_control_codes_of_rich_still_reach_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system="standard")
    console.print(Text("red\x1b[0m", "red"))
    assert out.getvalue() == "\x1b[31mred\\x1b[0m\x1b[0m\n"


def test_say_prints_escapes_visibly(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2Jb [red]")
    assert capsys.readouterr().out == "a\\x1b[2Jb [red]\n"


@pytest.mark.parametrize("name", ["\x1b[2J", "[bold]x", ":ok:", "a\nb", "\udcff", 300 * "x", 5000 * "x", "a\u202eb"])
def test_a_name_in_an_error_stays_in_one_plain_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["show", name], ["train", name], ["eval", name], ["resume", name]):
        assert main([*arguments, "--runs-dir", str(tmp_path)] if arguments[0] != "train" else arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("lab: ")
        assert error.endswith("\n")
        assert error.count("\n") == 1
        assert error.rstrip("\n").isprintable()
        assert len(error) <= LONGEST_LINE + 1


def test_substitutes_resemble_what_they_stand_for() -> None:
    assert "".join(map(substitute, "é…×→─│█⠉⠀猫\udcff")) == r"e...x->-|#. ?\xff"


def test_the_output_of_another_process_loses_its_colours() -> None:
    assert without_colours("\x1b[36m(worker)\x1b[0m ready") == "(worker) ready"


def test_user_errors_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    from lab.cli.root import run_command

    def refuse(**_: object) -> None:
        raise UserError("no label ':ok:' or '[v2]'")

    assert run_command(refuse, []) == 2
    assert capsys.readouterr().err == "lab: no label ':ok:' or '[v2]'\n"
