"""Tables from the file to predictions: double precision, one preprocessing for training, prediction and exports."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import lab
from lab.cli.main import main
from lab.data.columns import Column
from lab.errors import CheckpointError, UserError
from lab.plots.figures import Plot
from lab.supervised import data, transfer
from lab.supervised.experiment import Supervised
from lab.supervised.preprocessing import fit, from_json
from lab.supervised.tasks import regression
from lab.supervised.transfer import load_trained
from lab.train.device import Device
from tests.lab.small_classifier import other, written
from tests.same_run import assert_same_run

DEVICE = Device(torch.device("cpu"), "fp32", 1)
REGRESSION: dict[str, Any] = {"task": {"name": "regression"}, "network": {"name": "mlp", "hidden": [32]}}
CELLS = "city,age,member,joined,y\n"


def run(*arguments: object, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


def grades(folder: Path, text: str, **training: Any) -> dict[str, float]:
    """Metrics of a regression of a table."""
    folder.mkdir()
    (folder / "table.csv").write_text(text)
    training = {"decay_images": 12_000, "learning_rate": 0.01, "batch_size": 50} | training
    settings = other(data={"source": str(folder / "table.csv")}, training=training, budget=12_000, **REGRESSION)
    torch.manual_seed(0)
    experiment = Supervised(settings, folder / "run", DEVICE)
    while experiment.counters["rows"] < settings.budget:
        experiment.iterate()
    return dict(experiment.evaluate().metrics)


def test_a_large_constant_in_a_feature_or_the_target_changes_nothing(tmp_path: Path) -> None:
    def text(feature: int, target: int) -> str:
        # Integers and quarters, so that the sums are exact.
        rows = ((feature + i, target + round(4096 * np.sin(i / 60)) / 4) for i in range(400))
        return "x,target\n" + "".join(f"{x},{y:.2f}\n" for x, y in rows)

    plain = grades(tmp_path / "plain", text(0, 0))
    shifted = grades(tmp_path / "shifted", text(1_700_000_000, 1_700_000_000))
    assert plain["eval/r2"] > 0.9
    assert shifted == pytest.approx(plain, rel=1e-3)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of a table with every kind of column and with blanks."""
    folder = tmp_path_factory.mktemp("people")
    drawn = np.random.default_rng(0)
    rows = []
    for _ in range(200):
        city, age = drawn.choice(["Oslo", "Rome", ""]), drawn.integers(1, 90)
        member = drawn.choice(["yes", "no"])
        day = f"2020-{drawn.integers(1, 13):02}-{drawn.integers(1, 29):02}"
        label = "in" if (city == "Oslo") != (member == "no") else "out"
        rows.append(f"{city},{age if age > 9 else ''},{member},{day},{label}\n")
    (folder / "people.csv").write_text(CELLS + "".join(rows))
    people = {"source": str(folder / "people.csv"), "target": "y"}
    training = {"decay_images": 6000, "learning_rate": 0.01, "images_per_iteration": 3000}
    settings = other(data=people, network={"name": "mlp", "hidden": [16]}, training=training, budget=6000)
    run("train", written(folder, settings), "--runs-dir", folder, "--name", "people")
    return folder / "people"


NEW = (
    "y,joined,member,age,city\n?,2020-05-01,no,30,Oslo\n?,2020-05-01,no,,\n?,,yes,50,Bergen\n?,2020-05-01,yes,50,Rome\n"
)


def test_training_says_which_classes_and_columns_it_found(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = [f"n{i}" for i in range(12)]
    lines = [",".join([*(str(i * k % 7) for k in range(1, 13)), "low" if i % 3 else "high"]) for i in range(30)]
    (tmp_path / "numbers.csv").write_text("\n".join([",".join([*names, "y"]), *lines]) + "\n")
    data = {"source": str(tmp_path / "numbers.csv"), "target": "y"}
    settings = other(data=data, network={"name": "mlp", "hidden": [4]}, budget=24)
    run("train", written(tmp_path, settings), "--runs-dir", tmp_path, "--name", "told")
    said = " ".join((caplog.text + capsys.readouterr().err).split())
    assert "classes with their rows: high (10), low (20)" in said
    assert f"columns by kind: number: {', '.join(names[:10])}, ... (12 in all)" in said


def test_rows_are_predicted_as_they_were_preprocessed_in_training(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    capsys.readouterr()
    run("eval", people, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] > 0.9 and found["rows"] == 40
    (tmp_path / "new.csv").write_text(NEW)
    run("predict", people, tmp_path / "new.csv", "--json")
    output = capsys.readouterr()
    told = json.loads(output.out)["predictions"]
    assert [line["class"] for line in told] == ["out", "in", "out", "out"]
    said = output.err + caplog.text
    assert "'Bergen' (unknown)" in said and "column 'joined': 1 of 4 cells are blank (imputed, as no" in said
    rows = np.array([["Oslo", 30, "no", "2020-05-01"], [None, float("nan"), "no", "2020-05-01"]], dtype=object)
    asked = lab.open_run(people).predict(rows)
    assert [line["probability"] for line in asked] == pytest.approx([line["probability"] for line in told[:2]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("city,age\nOslo,3\n", "has no column 'member'; this run needs city, age, member, joined"),
        ("city,age,member,joined\nOslo,old,no,2020-01-01\n", "line 2: column 'age' is 'old', not a number"),
        ("city,age,member,joined\nOslo,3,maybe,2020-01-01\n", "is 'maybe', not a truth value"),
        ("city,age,member,joined\nOslo,3,no,01.02.2020\n", "is '01.02.2020', not a date; write one as 2024-12-31"),
        ('city,age,member,joined\n"a\nb",3,no,2020-01-01\nOslo,x,no,2020-01-01\n', "line 4: column 'age'"),
    ],
)
def test_new_rows_that_do_not_fit_are_one_line(
    text: str, expected: str, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.csv").write_text(text)
    capsys.readouterr()
    run("predict", people, tmp_path / "new.csv", code=2)
    error = capsys.readouterr().err
    assert expected in error and len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_an_onnx_file_takes_the_rows_raw_and_names_its_inputs(people: Path, tmp_path: Path) -> None:
    run("export", people, "--out", tmp_path / "people.onnx")
    found = {item.key: item.value for item in onnx.load(str(tmp_path / "people.onnx")).metadata_props}
    names = json.loads(found["inputs"])
    assert names == ["city=Oslo", "city=Rome", "city=", "age", "member", "joined"]
    assert json.loads(found["classes"]) == ["in", "out"] and found["target"] == "y"
    days = (np.datetime64("2020-05-01") - np.datetime64("1970-01-01")).astype(int)
    rows = np.array([[1, 0, 0, 30, 0, days], [0, 0, 1, np.nan, 0, days], [0, 0, 0, 50, 1, np.nan]])
    session = onnxruntime.InferenceSession(str(tmp_path / "people.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: rows})
    (tmp_path / "new.csv").write_text(NEW)
    expected = [line["probabilities"]["in"] for line in lab.open_run(people).predict(tmp_path / "new.csv")[:3]]
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(1)[:, 0], expected, atol=1e-5)


@pytest.mark.slow
def test_an_exported_regression_is_in_the_unit_of_a_large_target(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,target\n" + "".join(f"{i},{1_700_000_000 + 40 * i}\n" for i in range(50)))
    settings = other(data={"source": str(tmp_path / "t.csv")}, training={"batch_size": 10}, budget=500, **REGRESSION)
    run("train", written(tmp_path, settings), "--runs-dir", tmp_path, "--name", "run")
    run("export", tmp_path / "run", "--out", tmp_path / "t.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "t.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": np.arange(50.0)[:, None]})
    told = [line["value"] for line in lab.open_run(tmp_path / "run").predict(np.arange(50.0)[:, None])]
    np.testing.assert_allclose(found - 1.7e9, np.array(told) - 1.7e9, atol=0.1)
    assert len({round(value) for value in told}) > 20


def test_rows_are_counted_as_rows_and_the_plot_names_the_target(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.open_run(people).counters == {"iterations": 2, "rows": 6000}
    assert "images" not in (people / "log.txt").read_text()
    drawn: list[Plot] = []

    def noted(plot: Plot) -> np.ndarray:
        drawn.append(plot)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(regression, "plot", noted)
    settings = other(data={"source": "diabetes"}, training={"batch_size": 10}, budget=100, **REGRESSION)
    Supervised(settings, tmp_path, DEVICE).evaluate()
    assert (drawn[0].x_label, drawn[0].y_label) == ("target, measured", "target, predicted")
    assert [curve.name for curve in drawn[0].curves] == ["a test row", "perfect prediction"]


def test_a_stopped_run_of_a_table_goes_on_bit_for_bit(people: Path, tmp_path: Path) -> None:
    run("train", people / "config.yaml", "budget=3000", "--runs-dir", tmp_path, "--name", "people")
    run("resume", tmp_path / "people", "budget=6000")
    assert_same_run(people, tmp_path / "people")


def test_the_preprocessing_survives_as_plain_values_and_a_damaged_one_is_refused(people: Path) -> None:
    preprocessing = load_trained(people, DEVICE).preprocessing
    assert preprocessing is not None
    plain = json.loads(json.dumps(preprocessing.to_json(), allow_nan=False))
    assert from_json(plain) == preprocessing
    changes: list[dict[str, Any]] = [{"columns": None}, {"columns": [{}]}, {"columns": []}]
    changes += [{"target_statistics": [1.0, 0.0]}, {"target_statistics": 3}]
    for change in changes:
        with pytest.raises(CheckpointError, match="is damaged"):
            from_json(plain | change)
    wrong: list[Any] = [None, [], {}, -1, 10**400, "x", [None], float("nan")]
    for key in plain["columns"][0]:
        for value in wrong:
            columns = [plain["columns"][0] | {key: value}, *plain["columns"][1:]]
            with contextlib.suppress(CheckpointError):  # and nothing else
                from_json(plain | {"columns": columns})


def test_a_preprocessing_that_does_not_fit_the_network_is_refused(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocessing = load_trained(people, DEVICE).preprocessing
    assert preprocessing is not None
    fewer = replace(preprocessing, columns=preprocessing.columns[1:])
    other_task = replace(preprocessing, target_statistics=preprocessing.columns[1].statistics)
    for forged in (fewer, other_task):
        monkeypatch.setattr(transfer, "from_json", lambda value, forged=forged: forged)
        with pytest.raises(CheckpointError, match="does not fit its network"):
            load_trained(people, DEVICE)


def test_a_table_that_is_too_wide_for_the_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x,y\n" + "".join(f"name{i},{'ab'[i % 2]}\n" for i in range(200))
    (tmp_path / "t.csv").write_text(text)
    monkeypatch.setattr(data, "available_mb", lambda: 0.1)
    settings = other(
        data={"source": str(tmp_path / "t.csv"), "target": "y", "max_categories": 1000}, network={"name": "mlp"}
    )
    with pytest.raises(UserError, match=r"the table with one input for each category .* lower data.max_categories"):
        data.training_and_test(settings)


def test_only_training_rows_are_fitted_and_columns_of_too_many_categories_are_named_at_once() -> None:
    schema = (Column("a", "category", ("x", "y", "z")), Column("b", "number"), Column("c", "category", ("q", "r", "s")))
    rows = np.array([[0, 10.0, 0], [2, 30.0, 1], [0, np.nan, 2]])
    preprocessing = fit(rows, schema, "y", None, 10)
    assert preprocessing.raw_names[:3] == ["a=x", "a=z", "b"]
    new = np.array([[1, np.nan, np.nan], [2, 40.0, 0]])
    assert preprocessing.encode(new, schema).tolist() == [[0, 0, 0, 0, 0, 0, 1], [0, 1, 2, 1, 0, 0, 0]]
    with pytest.raises(UserError, match=r"'a' 2, 'c' 3 in 3 rows; leave them out by data.ignore=\[a, c\]"):
        fit(rows, schema, "y", None, 1)
