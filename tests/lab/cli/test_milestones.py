"""`lab milestones`: the table, one milestone with its figure, exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.cli.main import main
from lab.milestones import mcculloch_pitts
from lab.milestones.report import Finding, Report
from lab.milestones.table import MILESTONES


def test_without_a_name_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["milestones"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [one.name for one in MILESTONES]
    assert main(["milestones", "--json"]) == 0
    assert [one["year"] for one in json.loads(capsys.readouterr().out)["milestones"]] == [
        one.year for one in MILESTONES
    ]


def test_a_milestone_prints_theory_beside_measurement_and_writes_its_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["milestones", "mcculloch_pitts", "--out", str(tmp_path / "figures")]) == 0
    out = capsys.readouterr().out
    assert "14 of 16" in out and "104 of 256" in out
    with Image.open(tmp_path / "figures" / "mcculloch_pitts.png") as image:
        assert image.format == "PNG"


def test_a_disagreement_has_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = (Finding("sum", "2", "3", False), Finding("product", "1", "1", True))
    report = Report(findings, np.full((4, 4, 3), 255, np.uint8), ("a note",))
    monkeypatch.setattr(mcculloch_pitts, "run", lambda seed, line: report)
    assert main(["milestones", "mcculloch_pitts", "--out", str(tmp_path)]) == 1
    assert "1 of the findings disagree with theory: mcculloch_pitts: sum" in capsys.readouterr().out
    assert main(["milestones", "mcculloch_pitts", "--out", str(tmp_path), "--json"]) == 1
    (record,) = json.loads(capsys.readouterr().out)["milestones"]
    assert [finding["agrees"] for finding in record["findings"]] == [False, True] and record["notes"] == ["a note"]


def test_findings_are_printed_even_if_the_figure_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mcculloch_pitts.png").mkdir()
    assert main(["milestones", "mcculloch_pitts", "--out", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "104 of 256" in captured.out and captured.err.startswith("lab: cannot write")


def test_a_directory_that_cannot_be_written_is_found_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lab.cli.milestones.TemporaryFile", refuse)
    assert main(["milestones", "mcculloch_pitts", "--out", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "give a directory that can be written" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hopfeld"], "unknown milestone 'hopfeld'; did you mean 'hopfield'?"),
        (["hopfield", "--all"], "--all runs every milestone"),
        (["mcculloch_pitts", "--out", __file__], "give a directory that can be written"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["milestones", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
