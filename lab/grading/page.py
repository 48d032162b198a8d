"""A page of errors: which essays are graded wrongly, by score, length and prompt, and the worst of them."""

from pathlib import Path

import numpy as np

from lab.files.durable import replacing
from lab.grading.figures import error_page
from lab.grading.results import Result
from lab.plots.images import save_png
from lab.plots.media import Cell, Table

PAGE, FIGURE = "errors.md", "errors.png"
_WORST = 12
_EXCERPT = 300  # characters


def write_page(folder: Path, result: Result, title: str, name: str) -> None:
    """Write errors.md and errors.png into a folder. name: of the score."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, score = result.truth[:, 0], result.predictions[:, 0]
    save_png(folder / FIGURE, error_page(truth, score, result.words, name))
    lines = [f"# {_plain(title)}", "", f"![Predictions against scores, errors against length]({FIGURE})", ""]
    for table in (result.methods(), *result.tables()):
        lines += [f"## {table.name.replace('_', ' ').capitalize()}", "", *_markdown(table), ""]
        lines += [f"{table.caption}.", ""] if table.caption else []
    lines += ["## The largest errors", ""]
    errors = np.abs(score - truth)
    for index in np.argsort(-errors, kind="stable")[:_WORST]:
        prompt = f", {_plain(result.prompts[index])}" if result.prompts[index] else ""
        lines += [
            f"**{truth[index]:g}, predicted {score[index]:.2f}** ({result.words[index]:,} words{prompt})",
            "",
            f"> {_plain(result.texts[index][:_EXCERPT])}",
            "",
        ]
    with replacing(folder / PAGE) as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _markdown(table: Table) -> list[str]:
    rows = [table.columns, ["---"] * len(table.columns), *([_cell(cell) for cell in row] for row in table.rows)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _cell(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else _plain(str(cell))


def _plain(text: str) -> str:
    """One line that Markdown prints as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!" else letter for letter in " ".join(text.split()))
