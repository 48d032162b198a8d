"""Evaluations and match results as tables for the terminal."""

import math
from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from agents.arena.elo import Rating
from agents.arena.match import Pairing, Result, SequentialResult, WinDrawLoss
from agents.arena.minimax import LineCounts
from agents.arena.position_evaluation import Calibration, MoveQuality, Rates, Report

_FAULTS_SHOWN = 10

_LEGEND = (
    "outcome: moves that keep the outcome of best play (win, draw or loss).",
    "score: moves with the best exact score, such as the fastest win or slowest loss.",
    "nontrivial: the same where some legal move is not optimal.",
)
_CALIBRATION_LEGEND = (
    "value: expected outcome for the mover, -1 (loss) to +1 (win), without search.",
    "value error: mean distance of the value from the exact outcome.",
    "Lower is better for both errors and for Brier's score.",
)


def report_tables(report: Report) -> RenderableType:
    """Moves with search and without, then the value head; a legend below each. 80 columns hold them."""
    moves = ((f"with {report.simulations} simulations", report.searched), ("network alone", report.network_alone))
    tables = [_moves_table(who, "plies", quality, lambda rates: rates.by_phase) for who, quality in moves]
    if report.searched.optimal_outcome.by_set:
        tables += [_moves_table(who, "set", quality, lambda rates: rates.by_set) for who, quality in moves]
    parts: list[RenderableType] = [part for table in tables for part in (table, "")]
    return Group(*parts, *_LEGEND, "", _calibration(report.calibration), *_CALIBRATION_LEGEND)


def lines_table(lines: Sequence[LineCounts]) -> Table:
    """Results of every line of play, with the policy as first and as second player."""
    table = _table("every line of play", "won", "drawn", "lost")
    for side, one in zip(("moving first", "moving second"), lines, strict=True):
        table.add_row(side, f"{one.won:,}", f"{one.drawn:,}", f"{one.lost:,}", style="" if one.lost == 0 else "red")
    return table


def result_tables(result: Result) -> RenderableType:
    """Pairings with wins, draws and losses by colour, then ratings."""
    games = _table("player", "opponent", "score", "moving first", "moving second")
    for pairing in result.pairings:
        games.add_row(*_pairing_cells(pairing))
    strongest = _table("player", "Elo", "95% interval")
    for rating in sorted(result.ratings, key=lambda r: -r.elo):
        strongest.add_row(rating.name, elo_text(rating), interval_text(rating))
    return Group(games, "+won =drawn -lost; score: points of all games, a draw counts half", "", strongest)


def sequential_tables(result: SequentialResult) -> RenderableType:
    """A match with a sequential test, the rating of its player relative to its opponent, and the decision."""
    test, rating = result.test, result.ratings[1]
    games = _table("player", "opponent", "score", "moving first", "moving second")
    games.add_row(*_pairing_cells(result.pairing))
    pairing = result.pairing
    hypotheses = {"H0": f"H0 is accepted: {test.elo0:+g} Elo", "H1": f"H1 is accepted: {test.elo1:+g} Elo"}
    decision = "not decided" if result.decision is None else hypotheses[result.decision]
    return Group(
        games,
        f"pairs of games with 0, 1/2, 1, 3/2, 2 points: {', '.join(f'{count:.0f}' for count in pairing.pairs)}",
        "",
        f"{pairing.player} against {pairing.opponent}: {elo_text(rating)} Elo, 95% interval {interval_text(rating)}",
        f"SPRT of {test.elo0:+g} (H0) and {test.elo1:+g} (H1) Elo: {decision}; "
        f"LLR {result.llr:+.2f} of {test.lower:+.2f} to {test.upper:+.2f} after {pairing.total.games:,} games",
    )


def fault_lines(pairings: Sequence[Pairing]) -> list[str]:
    """Games that a player lost because it broke down or played no legal move: the first ones, and how many others."""
    found = [(pairing, fault) for pairing in pairings for fault in pairing.faults]
    lines = []
    for pairing, fault in found[:_FAULTS_SHOWN]:
        other = pairing.opponent if fault.player == pairing.player else pairing.player
        lines.append(f"{fault.player} lost game {fault.game + 1} against {other} at ply {fault.ply}: {fault.reason}")
    if len(found) > _FAULTS_SHOWN:
        lines.append(f"and {len(found) - _FAULTS_SHOWN:,} more games were lost so; --json lists them all")
    return lines


def elo_text(rating: Rating) -> str:
    """The estimate, or its bound where the games bound it on one side only."""
    if rating.bounded:
        return f"{rating.elo:+.0f}"
    return f"> {rating.low:+.0f}" if math.isfinite(rating.low) else f"< {rating.high:+.0f}"


def interval_text(rating: Rating) -> str:
    if rating.low == rating.high:
        return "anchor"
    ends = [f"{end:+.0f}" if math.isfinite(end) else "?" for end in (rating.low, rating.high)]
    return f"{ends[0]} to {ends[1]}"


def _moves_table(who: str, kind: str, quality: MoveQuality, split: Callable[[Rates], dict[str, float | None]]) -> Table:
    table = _table(f"{who}: {kind}", "outcome", "nontrivial", "score", "nontrivial")
    all_rates = (quality.optimal_outcome, quality.nontrivial_outcome, quality.optimal_score, quality.nontrivial_score)
    for row in ["all", *split(quality.optimal_outcome)]:
        table.add_row(row, *(percent(rates.overall if row == "all" else split(rates)[row]) for rates in all_rates))
    return table


def _calibration(calibration: Calibration) -> RenderableType:
    table = _table("predicted value", "positions", "mean predicted", "mean exact")
    means = ", ".join(f"{name} {_signed(mean)}" for name, mean in calibration.mean_value.items())
    errors = f"value error {calibration.mean_error:.3f}, calibration error {calibration.expected_error:.3f}"
    for one in calibration.bins:
        if one.positions:
            inside = f"{one.low:+.1f} to {one.high:+.1f}"
            table.add_row(inside, str(one.positions), _signed(one.predicted), _signed(one.exact))
    return Group(table, f"{errors}, Brier {calibration.brier:.3f}", f"mean value {means}")


def _pairing_cells(pairing: Pairing) -> list[str]:
    score = pairing.total.points / max(1, pairing.total.games)
    return [pairing.player, pairing.opponent, percent(score), _tally(pairing.first), _tally(pairing.second)]


def _tally(tally: WinDrawLoss) -> str:
    return f"+{tally.won} ={tally.drawn} -{tally.lost}"


def percent(rate: float | None) -> str:
    """A rate in [0, 1] as text; a dash where there is none."""
    return "-" if rate is None else f"{rate:.1%}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
