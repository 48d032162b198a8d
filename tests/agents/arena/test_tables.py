"""Tables of evaluations and matches: whole at 80 columns, with a legend."""

import io

import pytest
from rich.console import RenderableType

from agents.arena.elo import Rating
from agents.arena.match import Pairing, Result, WinDrawLoss
from agents.arena.position_evaluation import Calibration, CalibrationBin, MoveQuality, Rates, Report
from agents.arena.tables import report_tables, result_tables
from lab.terminal.consoles import Console

RATES = Rates(1.0, {"0-9": 0.5, "10-19": 1.0, "20-29": None}, {"L1_R1": 0.123456, "begin-hard": 1.0})
QUALITY = MoveQuality(RATES, RATES, RATES, RATES)
CALIBRATION = Calibration(
    0.123, 0.25, {"won": 0.5, "drawn": None, "lost": -0.5}, [CalibrationBin(-1.0, -0.8, 123456, -0.9, -1.0)], 0.25
)


def shown(renderable: RenderableType, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("simulations", [0, 64, 100_000])
def test_an_evaluation_is_whole_at_80_columns(simulations: int) -> None:
    report = Report(1000, simulations, QUALITY, QUALITY, CALIBRATION)
    lines = shown(report_tables(report))
    assert lines == shown(report_tables(report), width=300)
    assert not any("…" in line or "..." in line for line in lines)
    head = lines[0].split()
    assert head == ["with", f"{simulations}", "simulations:", "plies", "outcome", "nontrivial", "score", "nontrivial"]
    assert lines[1].split() == ["all", *4 * ["100.0%"]]


def test_a_legend_explains_every_column() -> None:
    text = "\n".join(shown(report_tables(Report(1000, 64, QUALITY, QUALITY, CALIBRATION))))
    for word in ("outcome:", "score:", "nontrivial:", "value:"):
        assert f"\n{word}" in text
    assert "Lower is better" in text


def test_results_of_matches_explain_their_signs() -> None:
    tally = WinDrawLoss(10, 5, 3)
    pairing = Pairing("a", "b", tally, tally, [1] * 36)
    lines = shown(result_tables(Result([pairing], [Rating("a", 10.0, -20.0, 40.0)], 9)))
    assert any(line.startswith("+won =drawn -lost") for line in lines)
