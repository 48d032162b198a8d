"""CSV files to windows: what is cut, what is held out, and one line for every file that does not serve."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gans.series.config import DataConfig
from gans.series.dataset import check_same, open_series, split, windows_in
from lab.errors import UserError
from tests.gans.small_series import table


def data(path: Path, **changes: Any) -> DataConfig:
    return DataConfig.model_validate({"source": str(path), "length": 5} | changes)


def restored(config: DataConfig, starts: str = "training") -> np.ndarray:
    found = open_series(config, 0)
    return found.scale.restore(found.windows(getattr(found, starts)))


def test_windows_are_rows_of_the_file_as_numpy_reads_it(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", 100)
    frame = np.loadtxt(path, delimiter=",", skiprows=1)
    every = {tuple(frame[start : start + 5].flatten().round(6)) for start in range(96)}
    for starts in ("training", "held_out"):
        windows = restored(data(path), starts)
        assert windows.shape[1:] == (5, 2) and len(windows) > 0
        assert {tuple(window.flatten().round(6)) for window in windows} <= every


def test_no_row_is_both_trained_on_and_held_out(tmp_path: Path) -> None:
    found = open_series(data(table(tmp_path / "t.csv", 400)), 0)
    seen, held = (
        set((starts[:, None] + torch.arange(5)).flatten().tolist()) for starts in (found.training, found.held_out)
    )
    assert not seen & held
    assert 0.1 < len(held) / 400 < 0.3


def test_training_windows_have_mean_0_and_deviation_1(tmp_path: Path) -> None:
    found = open_series(data(table(tmp_path / "t.csv", 300), stride=1), 0)
    rows = found.rows[torch.unique((found.training[:, None] + torch.arange(5)).flatten())].double()
    assert rows.mean(0).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert rows.std(0, correction=0).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)


def test_a_stride_leaves_windows_out() -> None:
    assert list(windows_in((3, 20), 5, 4)) == [3, 7, 11, 15]
    assert list(windows_in((3, 7), 5, 1)) == []


def test_no_window_crosses_from_one_series_to_the_next(tmp_path: Path) -> None:
    rows = [f"{'abcdefgh'[i // 9]},{i}" for i in range(72)]
    (tmp_path / "t.csv").write_text("\n".join(["who,x", *rows]))
    config = data(tmp_path / "t.csv", series="who")
    for starts in ("training", "held_out"):
        windows = restored(config, starts)[:, :, 0].round()
        assert (windows // 9 == windows[:, :1] // 9).all()
    # Two of eight series are held out whole: 5 windows of each.
    assert len(restored(config, "held_out")) == 10 and len(restored(config)) == 30


def test_a_series_whose_class_changes_is_held_out_whole(tmp_path: Path) -> None:
    # Ten series, each of which changes its class half way.
    rows = [f"s{i // 20},{i},{'rest' if i % 20 < 10 else 'walk'}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["who,x,mode", *rows]))
    config = data(tmp_path / "t.csv", series="who", label="mode")
    seen, held = (
        set((restored(config, starts)[:, 0, 0].round() // 20).tolist()) for starts in ("training", "held_out")
    )
    assert len(held) == 2 and len(seen) == 8 and not seen & held


def test_rows_of_a_series_may_lie_apart(tmp_path: Path) -> None:
    apart = [(f"s{k}", 100 * k + i) for i in range(12) for k in range(4)]
    for name, rows in (("apart", apart), ("together", sorted(apart))):
        (tmp_path / f"{name}.csv").write_text("\n".join(["who,x", *(f"{who},{x}" for who, x in rows)]))
    for starts in ("training", "held_out"):
        one, other = (restored(data(tmp_path / f"{n}.csv", series="who"), starts) for n in ("apart", "together"))
        np.testing.assert_array_equal(one, other)


def test_one_series_with_a_name_is_cut_like_one_without(tmp_path: Path) -> None:
    path, named = table(tmp_path / "t.csv", 60), table(tmp_path / "n.csv", 60, header="a,b,who", extra=",me")
    for starts in ("training", "held_out"):
        np.testing.assert_array_equal(restored(data(path), starts), restored(data(named, series="who"), starts))


def test_labels_make_classes_and_no_window_crosses_a_change(tmp_path: Path) -> None:
    rows = [f"{i**1.1},{'up' if i < 100 else 'down'}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["x,mode", *rows]))
    found = open_series(data(tmp_path / "t.csv", label="mode"), 0)
    assert found.classes == ("down", "up") and found.scale.columns == ("x",)
    assert found.labels is not None
    last = found.training + 4
    assert ((found.training < 100) == (last < 100)).all()
    assert ((found.training < 100) == (found.labels == 1)).all()


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", 60, header="a,b,note", extra=",text")
    assert open_series(data(path, columns=["b"]), 0).scale.columns == ("b",)


def test_what_is_held_out_comes_from_all_over_the_file() -> None:
    training, held_out = split([(0, 1000)], [0], 10, 0.2, seed=0)
    assert sum(stop - start for start, stop in training + held_out) == 1000
    assert len(held_out) > 2 and max(start for start, _ in held_out) - min(start for start, _ in held_out) > 300


def test_the_fingerprint_changes_with_any_value(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", 60)
    before = open_series(data(path), 0).fingerprint()
    assert open_series(data(path), 0).fingerprint() == before
    path.write_text(path.read_text().replace("0.5,", "0.6,", 1))
    assert open_series(data(path), 0).fingerprint() != before


def test_only_a_file_can_be_another_than_the_one_trained_on(tmp_path: Path) -> None:
    check_same(DataConfig(), "of this machine's sines", "of another's, which rounds otherwise", "")
    path = tmp_path / "T.CSV"
    with pytest.raises(UserError, match="is not the data this run was trained on: put it back"):
        check_same(data(path), "one", "another", "put it back")


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "missing": ("a,b\n" + "1,2\n" * 20 + "1,\n", {}, "line 22: column 'b' is empty; write a number there or choose"),
    "text": ("a,b\n1,2\nx,3\n", {}, "line 3: column 'a' is 'x', not a number"),
    "nan": ("a,b\n1,2\n1,nan\n", {}, "line 3: column 'b' is nan, not a finite number"),
    "ragged": ("a,b\n1,2\n1,2,3\n", {}, "line 3 has 3 cells and the header 2"),
    "few": ("a,b\n" + "1,2\n3,4\n" * 3, {}, "too few rows (6, 6 in the longest series)"),
    "none": ("a,b\n", {}, "has no rows"),
    "empty": ("", {}, "has no rows"),
    "no header": ("1,2\n" * 30, {}, "its first line is numbers"),
    "no header, twice the same": ("0.5,0.5\n" * 30, {}, "its first line is numbers"),
    "no header, one column from 0": ("0\n0.2\n" * 30, {}, "its first line is numbers"),
    "twice": ("a,a\n" + "1,2\n" * 30, {}, "column names of the header are repeated"),
    "constant": ("a,b\n" + "1,2\n2,2\n" * 30, {}, "column 'b' is constant"),
    "unknown": ("alpha,b\n" + "1,2\n2,3\n" * 30, {"columns": ["alpa"]}, "no column 'alpa'; did you mean 'alpha'"),
    "no channel": ("a,b\n" + "1,2\n2,3\n" * 30, {"series": "a", "label": "b"}, "no column that can be a channel"),
    "no label": ("a,b\n" + "1,x\n2,\n" * 30, {"label": "b"}, "line 3: column 'b' is empty; fill it"),
    "short class": ("a,b\n" + "1,x\n2,x\n" * 30 + "1,y\n", {"label": "b"}, "class 'y' has no whole window"),
    "no name": ("who,b\n" + "x,1\n,2\n" * 30, {"series": "who"}, "line 3: column 'who' is empty; fill it"),
    "huge": ("a,b\n" + "1e308,2\n-1e308,3\n" * 30, {}, "line 2: column 'a' is 1e308, not a finite number up to"),
    "short series": ("who,b\n" + "x,1\ny,2\nx,3\n" * 2, {"series": "who"}, "too few rows (6, 4 in the longest series)"),
    "one series": ("who,b\n" + "x,1\nx,2\n" * 3, {"series": "who"}, "lower data.length or provide 10 rows or more"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_does_not_serve_is_one_line(name: str, tmp_path: Path) -> None:
    text, changes, expected = BAD[name]
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        open_series(data(path, **changes), 0)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        open_series(data(tmp_path / "t.csv"), 0)
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(UserError, match="cannot be read as a CSV file"):
        open_series(data(tmp_path / "t.csv"), 0)


def test_lines_are_counted_in_the_file_after_quoted_line_breaks(tmp_path: Path) -> None:
    rows = '"a\nb",1\n"a\nb",2\n' + "c,x\n"
    (tmp_path / "t.csv").write_text("who,x\n" + rows)
    with pytest.raises(UserError, match=r"line 6: column 'x' is 'x', not a number"):
        open_series(data(tmp_path / "t.csv", series="who"), 0)


def test_semicolons_and_decimal_commas_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x;z\n" + "".join(f"{i},5;{i}\n" for i in range(60)))
    found = restored(data(tmp_path / "t.csv"))
    np.testing.assert_allclose(found[:, :, 0] - found[:, :, 1], 0.5, atol=1e-5)
