"""The verbs of `lab` for a grader of essays: eval and predict."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table as RichTable
from rich.text import Text

from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.grading.ensemble import Ensemble
from lab.grading.explain import SentenceEffect, input_warnings, records, sentence_effects
from lab.grading.grader import Grader, load_grader
from lab.grading.page import PAGE, write_page
from lab.grading.reading import read_essays
from lab.grading.results import check_folds, pooled, result_of
from lab.grading.text import sentences_of
from lab.plots.media import Table
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console
from lab.terminal.streams import say

_log = logging.getLogger(__name__)
_MOST_READ = 100_000  # words: an essay is read again for each of its sentences
_MEANINGS = {
    "qwk": "quadratic weighted kappa of grade and score",
    "pearson": "correlation of predicted and true score",
    "linear_pearson": "that of the linear part alone",
    "rmse": "root mean squared error of the score",
    "trait_rmse": "root mean squared error of the traits",
    "coverage": "scores inside their intervals",
    "shuffled_change": "change of the score when sentences are in random order",
    "shuffled_lower": "essays whose score is lower in random order",
}

Others = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="RUN", help="A further run, a fold of the same essays; may be repeated."),
]


def evaluate(
    run: Run,
    others: Others = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a page of errors by score, length and prompt.", show_default=False),
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Compare with the word count, surface features and TF-IDF on the same essays.")
    ] = True,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Grade the test essays, which training never used; with several runs, each its own, and the mean of the folds."""
    graders = _graders(run, others, runs_dir, device, checkpoint)
    if len(graders) > 1:
        check_folds(graders)
    results = [result_of(grader, baselines=baselines) for grader in graders]
    each = [result.metrics() for result in results]
    whole = pooled(results)
    means = {
        name: float(np.mean([values[name] for values in each]))
        for name in each[0]
        if all(name in values for values in each)
    }
    record: dict[str, Any] = {"run": run, "examples_trained": graders[0].examples, "test_essays": len(whole.texts)}
    if len(each) > 1:
        record |= {"folds": len(each)}
    if page is not None:
        write_page(page, whole, f"{run}: errors of {len(whole.texts):,} test essays", graders[0].names[0])
    methods = whole.methods()
    if as_json:
        folds = {"qwk_of_folds": [values["qwk"] for values in each]} if len(each) > 1 else {}
        print_json(record | means | folds | {"methods": _rows(methods)} | {t.name: _rows(t) for t in whole.tables()})
        return
    console = Console()
    console.say(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record.items()))
    if len(each) > 1:
        console.say("kappa of the folds: " + ", ".join(f"{values['qwk']:.3f}" for values in each))
    for name, value in means.items():
        console.say(f"{name:16} {value:9.4f}  {_MEANINGS[name]}")
    for table in (methods, *whole.tables()):
        console.print(_rich_table(table))
    if page is not None:
        console.say(f"page of errors: {page / PAGE}")


def predict(
    run: Run,
    given: Annotated[
        str,
        typer.Argument(
            metavar="ESSAY",
            help="A text file with one essay, a .csv file with many, or - for standard input.",
            show_default=False,
        ),
    ],
    others: Others = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Grade an essay: score, interval, traits, and which sentences moved the score.

    Of a .csv file: a line with score, estimate and interval for each essay. With several runs scores are averaged.
    """
    grader = Ensemble(_graders(run, others, runs_dir, device, checkpoint))
    texts = read_essays(given, grader.graders[0].config.data)
    found = records(grader, texts)
    for number, text in enumerate(texts):
        for warning in input_warnings(grader, text):
            _log.warning(f"{given if len(texts) == 1 else f'essay {number + 1}'}: {warning}")
    effects: list[SentenceEffect] | None = None
    if len(texts) == 1:
        effects = sentence_effects(grader, texts[0], max(1, _MOST_READ // max(1, found[0]["words"])))
        count = len(sentences_of(texts[0]))
        if len(effects) < count:
            _log.warning(f"the effects are those of the first {len(effects):,} of its {count:,} sentences")
    if as_json:
        listed: dict[str, Any] = {} if effects is None else {"sentences": [one._asdict() for one in effects]}
        print_json({"run": run, "coverage": grader.coverage, "essays": found} | listed)
        return
    if effects is not None:
        _say_details(found[0], effects, grader.coverage)
        return
    for record in found:
        low, high = record["interval"]
        say(f"{record['score']:g}\t{record['estimate']:.2f}\t{low:.2f} to {high:.2f}")


def _say_details(record: dict[str, Any], effects: Sequence[SentenceEffect], coverage: float) -> None:
    low, high = record["interval"]
    say(f"score {record['score']:g}, from an estimate of {record['estimate']:.2f}; {record['words']:,} words")
    say(f"interval {low:.2f} to {high:.2f}, which holds the score of {coverage:.0%} of such essays")
    if record["traits"]:
        say("traits: " + ", ".join(f"{name} {value:.2f}" for name, value in record["traits"].items()))
    say("effect: the score minus that without the sentence; attention: the network's share")
    for one in effects:
        say(f"{one.effect:+7.3f} {one.attention:6.1%}  {one.text}")


def _graders(run: str, others: Sequence[str] | None, runs_dir: Path, device: str, checkpoint: str) -> list[Grader]:
    place = device_of(device)
    return [load_grader(find_run(name, runs_dir), place, checkpoint) for name in (run, *(others or ()))]


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _rich_table(table: Table) -> RichTable:
    drawn = RichTable(*table.columns, title=table.name, title_justify="left", box=None, pad_edge=False)
    for row in table.rows:
        drawn.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else str(cell)) for cell in row))
    return drawn
