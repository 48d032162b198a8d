"""The one reader of CSV files: lines are counted in the file, separators and decimal commas are found."""

from pathlib import Path

import pytest

from lab.data.csv_file import numbers, read_csv, read_lines, texts
from lab.errors import UserError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


QUOTED = '"a\nb",c\n"one\ntwo\nthree",1\n"four\r\nfive",2\n\nsix,x\n'


def test_a_row_has_the_number_of_its_first_line_after_quoted_line_breaks(tmp_path: Path) -> None:
    file = read_csv(written(tmp_path, QUOTED))
    assert file.lines == [3, 6, 9] and file.cells("c") == ["1", "2", "x"]
    with pytest.raises(UserError, match=r"line 9: column 'c' is 'x', not a number"):
        numbers(file, "c")
    with pytest.raises(UserError, match=r"line 5 has 1 cells and the header 2"):
        read_csv(written(tmp_path, 'a,b\n"1\n2\n3",4\n5\n'))
    with pytest.raises(UserError, match=r"line 4: column 'b' is empty"):
        texts(read_csv(written(tmp_path, 'a,b\n"1\n2",4\n5,\n6,7\n')), "b")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(separator: str, tmp_path: Path) -> None:
    text = f'a{separator}b c\n"x{separator}y"{separator}1\n'
    file = read_csv(written(tmp_path, text))
    assert (file.columns, file.rows) == (["a", "b c"], [[f"x{separator}y", "1"]])
    assert read_lines(written(tmp_path, f"sep={separator}\n" + text))[0][1] == (3, [f"x{separator}y", "1"])


def test_decimal_commas_are_read_where_another_sign_separates_cells(tmp_path: Path) -> None:
    file = read_csv(written(tmp_path, "a;b;c\n1,5;1.234,5;7\n-2,25e1;12,0;8\n"))
    assert [numbers(file, name).tolist() for name in "abc"] == [[1.5, -22.5], [1234.5, 12.0], [7.0, 8.0]]
    file = read_csv(written(tmp_path, "a;b\n1,5;1.234\n"))  # 1234, or 1.234
    with pytest.raises(UserError, match=r"'1.234', not a number, for others have decimal commas"):
        numbers(file, "b")
    file = read_csv(written(tmp_path, "a;b\n1.5;2\n"))
    assert numbers(file, "a").tolist() == [1.5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_are_the_same_in_every_encoding_and_normal_form(encoding: str, tmp_path: Path) -> None:
    file = read_csv(written(tmp_path, "caf\u00e9,cafe\u0301 2\n1,2\n".encode(encoding)))
    assert file.columns == ["caf\u00e9", "caf\u00e9 2"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n\xe9,1\n", "byte 4 is not UTF-8"),
        (b'a,b\n"1,2\n', "correct its quotes"),
        (b'a,b\n1,2\n"x"y,2\n', "line 3"),
        (b"a,b\n1,12_34\n", "'12_34', not a number"),
        (b"a,b\n1," + b"9" * 200_000 + b"\n", "field larger than field limit"),
        (b"\n\n\n", "has no rows"),
        (b"\x00\x00\x00", "has no rows"),
        (b"1,2\n3,4\n", "its first line is numbers"),
    ],
)
def test_what_is_no_table_is_one_line(content: bytes, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        numbers(read_csv(written(tmp_path, content)), "b")
    assert expected in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400


def test_folders_and_devices_are_no_tables(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(UserError, match=r"cannot be read as a CSV file"):
            read_csv(path)


def test_separators_at_the_ends_of_lines_make_no_column(tmp_path: Path) -> None:
    assert read_csv(written(tmp_path, "a,b,\n1,2,\n3,4,\n,,\n")).rows == [["1", "2"], ["3", "4"]]
