"""The verbs of `lab` for a sequences run: eval, predict, sample and export."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as RichTable
from rich.text import Text

from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.baselines import Baselines, baselines_record, say_baselines
from lab.cli.export import export_verb
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.config.limits import LARGEST_SEED
from lab.errors import UserError
from lab.nets.export import TRACED_SUFFIXES
from lab.plots.media import Table
from lab.run.lookup import RUNS_DIR, find_run
from lab.sequences import export as exporting
from lab.sequences.api import sample as draw
from lab.sequences.baselines import baselines_of
from lab.sequences.batch import SequenceData
from lab.sequences.data import check_same_data, open_data
from lab.sequences.evaluation import (
    evaluate_set,
    evaluate_text,
    examples_table,
    lengths_table,
    ranked_answers,
    with_frames,
)
from lab.sequences.files import FileData, read_inputs
from lab.sequences.metrics import CATALOGUE
from lab.sequences.model import Model, load_model
from lab.sequences.network import Decoding, TokenClassifier
from lab.sequences.slots import frame_record, frame_text
from lab.sequences.text import sums_entropy
from lab.sequences.vocabulary import END, PAD
from lab.terminal.consoles import Console
from lab.terminal.streams import say

_log = logging.getLogger(__name__)
_GIVEN = "the input"

Beam = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="Width of the beam, 1 is greedy; by default that of the run.", show_default=False
    ),
]


def evaluate(
    run: Run,
    beam: Beam = None,
    checkpoint: Checkpoint = "best",
    baselines: Baselines = False,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Evaluate a run on its test examples and list right and wrong answers."""
    model = _model(run, runs_dir, device, checkpoint)
    _check_written(model, "--beam", beam is not None and beam > 1)
    data = open_data(model.config, model.device)
    check_same_data(model.config, data, model.fingerprint)
    record: dict[str, Any] = {"run": run, "examples_trained": model.examples}
    if isinstance(model.network, TokenClassifier) and model.shape.is_language_model:
        values = evaluate_text(model.network, data.test, model.device)
        record["test_tokens"] = int((data.test.targets != PAD).sum())
        if model.config.data.source is None:
            record["entropy"] = round(sums_entropy(), 4)
        tables: list[Table] = []
    else:
        found = evaluate_set(model.network, data.test, model.device, model.decoding(beam), data.scale)
        if model.config.data.intents and data.targets is not None:
            found = with_frames(found, data.test, data.targets)
        values, record["test_examples"] = found.metrics, len(found.right)
        tables = [lengths_table(found, data.test), examples_table(found, data.test, data.inputs, data.targets)]
    beside = _baselines(model, data) if baselines else {}
    if as_json:
        by_length = {"by_length": [list(row) for row in tables[0].rows]} if tables else {}
        print_json(
            record
            | {name.removeprefix("eval/"): value for name, value in values.items()}
            | by_length
            | baselines_record(beside)
        )
        return
    console = Console()
    console.say(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record.items()))
    for name, value in values.items():
        metric = CATALOGUE[name]
        console.say(f"{name.removeprefix('eval/'):16} {value:9.4f} {metric.unit:6} {metric.meaning}")
    say_baselines(values, beside)
    for table in tables:
        console.print(_rich_table(table))


def predict(
    run: Run,
    given: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A text, a file with one on each line, or - for standard input.",
            show_default=False,
        ),
    ],
    beam: Beam = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, max=2**20, help="Most tokens of an answer; by default as in the data.", show_default=False),
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Answer an input, or every non-blank line of a file (up to its first tab; "input" of a .jsonl).

    With a beam, print the best answers and their log-probabilities.
    """
    model = _model(run, runs_dir, device, checkpoint)
    if model.shape.is_language_model:
        raise UserError(f"{run} is a language model: `lab sample {run} --prompt TEXT` continues a text")
    _check_written(model, "--beam", beam is not None and beam > 1)
    _check_written(model, "--steps", steps is not None)
    texts = _inputs(given)
    from_file = texts != [(given, _GIVEN)]
    rows = [_tokens(model, text, where) for text, where in texts]
    _warn_of_long(model, rows, [where for _, where in texts])
    found = [
        {"input": text, "answer": best[0]["answer"], "alternatives": best}
        for (text, _), best in zip(texts, _answers(model, rows, model.decoding(beam, steps)), strict=True)
    ]
    if model.config.data.intents:
        for record in found:
            record |= frame_record(record["input"], record["answer"].split())
            record["answer"] = frame_text(record)
    if as_json:
        print_json({"run": run, "answers": found})
        return
    for record in found:
        if from_file:
            say(f"{record['input']}\t{record['answer']}")
        elif len(record["alternatives"]) > 1:
            for other in record["alternatives"]:
                say(f"{other['log_probability']:9.4f}  {other['answer']}")
        else:
            say(record["answer"])


def sample(
    run: Run,
    chars: Annotated[int, typer.Option(min=1, max=10**7, help="Characters to write.")] = 400,
    prompt: Annotated[str, typer.Option(help="Start of the text; by default a new line.")] = "",
    temperature: Annotated[float, typer.Option(min=0.0, help="0 for the most probable character.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Sample from the K most probable characters.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=10**5, help="Number of texts.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed; text i depends only on it and on i.")] = 0,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Write text with a language model, character by character."""
    texts = draw(
        find_run(run, runs_dir),
        device_of(device),
        count=count,
        seed=seed,
        chars=chars,
        prompt=prompt,
        temperature=temperature,
        top_k=top_k,
        checkpoint=checkpoint,
    )
    if as_json:
        print_json({"run": run, "texts": texts})
        return
    say(("\n" + "-" * 40 + "\n").join(texts))


@export_verb(suffixes=TRACED_SUFFIXES, companion=".json")
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the network and check the result in onnxruntime.

    Inputs are tokens [N, S] and lengths [N]. Outputs are logits or numbers, or the tokens of the greedy answer if the
    network generates sequences. The vocabularies go to FILE.json.
    """
    return exporting.export(load_model(run, device_of("cpu"), checkpoint), out)


def _model(run: str, runs_dir: Path, device: str, checkpoint: str) -> Model:
    return load_model(find_run(run, runs_dir), device_of(device), checkpoint)


def _baselines(model: Model, data: SequenceData) -> dict[str, Mapping[str, float]]:
    """Baselines of texts with labels or tags. Raises UserError for other data."""
    config = model.config
    if not isinstance(data, FileData) or not config.data.input_words or config.predicts_numbers or model.shape.writes:
        raise UserError("--baselines: there are none but for labels and intents of texts of words; leave it out")
    if not (model.shape.labels or config.data.intents):
        raise UserError("--baselines: tags without an intent have none; leave it out")
    return baselines_of(data, intents=config.data.intents)


def _check_written(model: Model, option: str, given: bool) -> None:
    if given and not model.shape.writes:
        raise UserError(f"{option}: a {model.config.network.shape} network generates no sequence; leave it out")


def _tokens(model: Model, text: str, where: str) -> list[int]:
    try:
        return model.tokens(text, where)
    except UserError as error:
        if where == _GIVEN and Path(text).suffix:
            raise UserError(f"{error}; and there is no file {text!r}") from None
        raise


def _warn_of_long(model: Model, rows: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Log a warning about inputs that are longer than those of training."""
    longest = model.longest[0]
    long = [number for number, row in enumerate(rows) if len(row) > longest]
    if long and not model.shape.fixed_length:
        others = f" (and {len(long) - 1} more)" if len(long) > 1 else ""
        _log.warning(
            f"{names[long[0]]}{others} has {len(rows[long[0]])} tokens, more than the {longest} of the longest that "
            "this network was trained or tested on: do not rely on the answer"
        )


def _answers(model: Model, rows: list[list[int]], decoding: Decoding) -> list[list[dict[str, Any]]]:
    """For each input its answers, best first, and their log-probabilities."""
    found: list[list[dict[str, Any]]] = []
    unfinished = 0
    for answers in model.answer(rows, decoding):
        if model.shape.writes:
            unfinished += int((answers.values[:, 0] != END).all(-1).sum())
        found += ranked_answers(answers, model.targets, model.scale)
    if unfinished:
        _log.warning(
            f"{unfinished} of {len(rows)} answers had no end after {decoding.steps} tokens: --steps allows more"
        )
    return found


def _rich_table(table: Table) -> RichTable:
    drawn = RichTable(*table.columns, title=table.name, title_justify="left", box=None, pad_edge=False)
    for row in table.rows:
        drawn.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else str(cell)) for cell in row))
    return drawn


def _inputs(given: str) -> list[tuple[str, str]]:
    """Inputs and their names in messages: the lines of a file or of standard input, else the text itself."""
    if given == "-":
        return read_inputs(None)
    try:
        is_file = Path(given).exists() and not Path(given).is_dir()
    except (OSError, ValueError):  # too long for a file name, or with a zero byte: a text
        is_file = False
    return read_inputs(Path(given)) if is_file else [(given, _GIVEN)]
