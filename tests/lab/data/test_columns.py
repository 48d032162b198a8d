"""Tables as people have them: the kind of a column is found, and what fits none is one line about the cell."""

from pathlib import Path

import numpy as np
import pytest

from lab.data.columns import Column, Reading
from lab.data.csv_file import read_csv
from lab.data.tables import Table, open_table
from lab.errors import UserError

IMPUTE = Reading("impute")


def table(folder: Path, text: str, reading: Reading = IMPUTE, target: str = "y", *, classified: bool = True) -> Table:
    path = folder / "table.csv"
    path.write_text(text)
    return open_table(str(path), target, classified=classified, reading=reading)


def column(folder: Path, *cells: str, reading: Reading = IMPUTE) -> tuple[Column, list[float]]:
    """The kind of a column with these cells, and its values."""
    found = table(folder, "x,y\n" + "".join(f"{cell},{'ab'[i % 2]}\n" for i, cell in enumerate(cells)), reading)
    return found.schema[0], found.inputs[:, 0].tolist()


def test_numbers_with_blanks_are_numbers(tmp_path: Path) -> None:
    found, values = column(tmp_path, "1", "", "NA", "nan", "\u22122e1", "null", "?")
    assert found.kind == "number"
    np.testing.assert_array_equal(values, [1.0, np.nan, np.nan, np.nan, -20.0, np.nan, np.nan])


@pytest.mark.parametrize("words", [("true", "FALSE"), ("Yes", "no"), ("t", "f"), ("Y", "N")])
def test_truth_values_are_0_and_1(words: tuple[str, str], tmp_path: Path) -> None:
    assert column(tmp_path, *words, words[0]) == (Column("x", "boolean"), [1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    "cells",
    [
        ("1970-01-03", "1970-01-13"),
        ("1970-01-03T00:00:00Z", "1970-01-13T05:00:00+05:00"),
        ("03.01.1970", "13.01.1970"),
        ("1970/01/03", "1970/01/13"),
        ("3/1/1970", "13/1/1970"),
        ("1/3/1970", "1/13/1970"),
        ("03.01.1970 00:00", "13.01.1970 00:00"),
    ],
)
def test_dates_are_days_since_1970(cells: tuple[str, str], tmp_path: Path) -> None:
    found, values = column(tmp_path, *cells)
    assert found.kind == "date" and values == [2.0, 12.0]


def test_a_date_of_which_either_number_may_be_the_day_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'set data.date_format="dd/mm/yyyy" or "mm/dd/yyyy"'):
        column(tmp_path, "03/04/1970", "05/06/1970")
    for given in ("%d/%m/%Y", "dd/mm/yyyy"):
        assert column(tmp_path, "02/01/1970", reading=Reading(date_format=given))[1] == [1.0]
    with pytest.raises(UserError, match=r"data.date_format=mm.dd.yy: no column of .* has such dates"):
        column(tmp_path, "02/01/1970", "red", "blue", reading=Reading(date_format="mm.dd.yy"))


@pytest.mark.parametrize(
    ("given", "flaw"), [("dd/dd/yyyy", "given twice"), ("%d/%d/%Y", "given twice"), ("%Q", "directive"), ("%", "%")]
)
@pytest.mark.parametrize("cell", ["02/01/1970", "3"])
def test_a_date_format_that_no_date_can_have_is_refused(cell: str, given: str, flaw: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"data.date_format={given}: .*{flaw}.*; write it as in dd/mm/yyyy"):
        column(tmp_path, cell, reading=Reading(date_format=given))


def test_texts_are_categories_in_one_normal_form(tmp_path: Path) -> None:
    found, values = column(tmp_path, "red", "caf\u00e9", "cafe\u0301", "Red", "red")
    assert found == Column("x", "category", ("Red", "caf\u00e9", "red"))
    assert values == [2.0, 1.0, 1.0, 0.0, 2.0]
    assert column(tmp_path, "7", "8", "7", reading=Reading(categories=("x",)))[0].texts == ("7", "8")


def test_truth_values_of_training_may_be_1_and_0_afterwards(tmp_path: Path) -> None:
    trained = table(tmp_path, "x,y\nyes,a\nno,b\n")
    (tmp_path / "test.csv").write_text("x,y\n1,a\n0,b\n1.0,a\nTrue,b\n")
    source = str(tmp_path / "test.csv")
    later = open_table(source, "y", classified=True, reading=IMPUTE, like=trained)
    assert later.inputs[:, 0].tolist() == [1.0, 0.0, 1.0, 1.0]
    (tmp_path / "test.csv").write_text("x,y\n2,a\n")
    with pytest.raises(UserError, match=r"is '2', not a truth value; write true or false, .* or 1 or 0"):
        open_table(source, "y", classified=True, reading=IMPUTE, like=trained)


@pytest.mark.parametrize("cells", [("2020-01-01", "2020-01-02"), ("31.12.2020", "30.12.2020")])
def test_a_cell_that_is_no_date_as_in_training_is_told_how_to_write_one(cells: tuple[str, str], tmp_path: Path) -> None:
    trained = table(tmp_path, "x,y\n" + "".join(f"{cell},{label}\n" for cell, label in zip(cells, "ab", strict=True)))
    (tmp_path / "test.csv").write_text("x,y\n2021-02-30,a\n")
    example = "2024-12-31" if cells[0].startswith("2") else "31.12.2024"
    with pytest.raises(UserError, match=f"is '2021-02-30', not a date; write one as {example}, or leave"):
        open_table(str(tmp_path / "test.csv"), "y", classified=True, reading=IMPUTE, like=trained)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (
            ("1", "two", "3"),
            "line 3: column 'x' is 'two', not a number; write a number there, leave the row out, or re",
        ),
        (('"1,234"', '"5,678"'), "is '1,234', not a number"),
        (("5%", "7%"), "is '5%', not a number"),
        (("$5", "$7.50"), "not a number"),
        (("01.02.20", "03.04.20"), "or set data.date_format if it is a date"),
        (("2020-01-01", "01.01.2020"), "line 3: column 'x' is '01.01.2020', not a date"),
        (("true", "1"), "is 'true', not a number"),
        (("2020-01-01", "2020-01-02", "soon"), "line 4: column 'x' is 'soon', not a date"),
        (("", "", "NA"), "column 'x' is blank in every row; leave it out by data.ignore=[x]"),
        (("1", "1e999"), "is 1e999, not a finite number"),
    ],
)
def test_cells_that_fit_no_kind_are_one_line(cells: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        column(tmp_path, *cells)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_columns_are_left_out_and_nameless_ones_asked_about(tmp_path: Path) -> None:
    text = ",name,x,y\n0,Ann,1,a\n1,Bob,2,b\n"
    with pytest.raises(UserError, match=r"column 1 has no name .* leave it out by data.ignore=\['unnamed 1'\]"):
        table(tmp_path, text)
    assert table(tmp_path, text, Reading(ignore=("unnamed 1", "name"))).columns == ("x",)
    with pytest.raises(UserError, match=r"data.ignore: .* has no column 'nam'; did you mean 'name'"):
        table(tmp_path, text, Reading(ignore=("nam",)))
    with pytest.raises(UserError, match=r"data.ignore names 'y', the target"):
        table(tmp_path, text, Reading(ignore=("y",)))


@pytest.mark.parametrize("word", ["NA", "None", "nan", "?"])
def test_a_word_for_a_blank_cell_is_no_class_unless_the_target_is_named_as_text(word: str, tmp_path: Path) -> None:
    text = f"x,y\n1,a\n2,b\n3,{word}\n"
    with pytest.raises(UserError) as error:
        table(tmp_path, text)
    assert "line 4: column 'y' is " + word in str(error.value) and "data.categories=[y]" in str(error.value)
    named = table(tmp_path, text, Reading(categories=("y",)))
    assert set(named.classes) == {"a", "b", word}
    assert open_table(str(tmp_path / "table.csv"), "y", classified=True, like=named).classes == named.classes


@pytest.mark.parametrize("address", ["https://x.y/z.csv", "https:/x.y/z.csv"])
def test_an_address_is_named_whole_and_not_looked_for(address: str) -> None:
    for opened in (lambda: read_csv(Path(address)), lambda: open_table(address, "y", classified=True)):
        with pytest.raises(UserError, match=r"'https://x\.y/z\.csv' is an address, .* download it"):
            opened()


def test_a_target_that_is_a_quantity_is_not_read_as_classes(tmp_path: Path) -> None:
    prices = "x,y\n" + "".join(f"{i},{100 + 0.5 * i}\n" for i in range(20))
    with pytest.raises(UserError, match=r"set task.name=regression to predict it .* or data.categories=\[y\]"):
        table(tmp_path, prices)
    assert len(table(tmp_path, prices, Reading(categories=("y",))).classes) == 20
    counts = "x,y\n" + "".join(f"{i},{i % 12}\n" for i in range(60))
    assert table(tmp_path, counts).classes == tuple(map(str, range(12)))
    with pytest.raises(UserError, match=r"for classes set task.name=classification"):
        table(tmp_path, "x,y\n1,yes\n", classified=False)
