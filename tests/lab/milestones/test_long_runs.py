"""Milestones whose runs take a minute or more agree with theory and literature, on the digits that need no download."""

import importlib
from pathlib import Path

import pytest

NAMES = ("restricted_boltzmann", "lenet", "deep_belief", "deep_boltzmann", "dropout")


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_all_findings_agree(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    lines: list[str] = []
    report = importlib.import_module(f"lab.milestones.{name}").run(0, lines.append)
    assert [f"{finding.name}: {finding.measured}" for finding in report.findings if not finding.agrees] == []
    assert lines and report.figure.ndim == 3
