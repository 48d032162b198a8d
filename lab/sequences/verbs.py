"""The verbs of `lab` for a sequences run: eval, predict, sample and export."""

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from lab import device as devices
from lab.errors import UserError
from lab.export import TRACED_SUFFIXES, check_suffix
from lab.media import Table
from lab.sequences import export as exporting
from lab.sequences.data import open_data
from lab.sequences.files import read_text
from lab.sequences.grading import examples_table, grade, grade_text, lengths_table, shown
from lab.sequences.metrics import CATALOGUE
from lab.sequences.model import Model, language_model, load_model
from lab.sequences.network import Tagger
from lab.sequences.sampling import sample as draw
from lab.sequences.symbols import PAD
from lab.verbs import RUNS_DIR, Json, Run, RunsDir, find_run, print_json

Checkpoint = Annotated[str, typer.Option("--checkpoint", help="best, latest or an iteration.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Beam = Annotated[
    int | None,
    typer.Option(min=1, help="Width of the beam, 1 is greedy; the run's own unless given.", show_default=False),
]


def evaluate(
    run: Run,
    beam: Beam = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Answer the test examples, none of which was trained on: how many are right, and which are not."""
    model = _model(run, runs_dir, device, checkpoint)
    _check_beam(model, beam)
    data = open_data(model.config, model.device)
    if data.fingerprint != model.fingerprint:
        raise UserError(f"{model.config.data.source} is not the data this run was trained on: put the old data back")
    record: dict[str, Any] = {"run": run, "examples_trained": model.examples}
    if isinstance(model.network, Tagger) and model.shape == "language_model":
        values = grade_text(model.network, data.test, model.device)
        record["test_symbols"] = int((data.test.targets != PAD).sum())
        tables: list[Table] = []
    else:
        found = grade(model.network, data.test, model.device, model.decoding(beam))
        values, record["test_examples"] = found.metrics, len(found.right)
        tables = [lengths_table(found, data.test), examples_table(found, data.test, data.inputs, data.targets)]
    if as_json:
        by_length = {"by_length": [list(row) for row in tables[0].rows]} if tables else {}
        print_json(record | {name.removeprefix("eval/"): value for name, value in values.items()} | by_length)
        return
    console = Console(highlight=False, markup=False)
    console.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in record.items()), soft_wrap=True)
    for name, value in values.items():
        metric = CATALOGUE[name]
        console.print(f"{name.removeprefix('eval/'):16} {value:9.4f} {metric.unit:6} {metric.meaning}", soft_wrap=True)
    for table in tables:
        console.print(_drawn(table))


def predict(
    run: Run,
    given: Annotated[
        str, typer.Argument(metavar="INPUT", help="A text, or a file with one on each line.", show_default=False)
    ],
    beam: Beam = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Symbols of an answer; as in the data unless given.", show_default=False)
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Answer an input, or every line of a file (up to its first tab; "input" of a .jsonl).

    With a beam, a text's best answers and their log-probabilities.
    """
    model = _model(run, runs_dir, device, checkpoint)
    if model.shape == "language_model":
        raise UserError(f"{run} is a language model: `lab sample {run} --prompt TEXT` goes on with a text")
    _check_beam(model, beam)
    from_file = _is_file(given)
    texts = _lines(Path(given)) if from_file else [(given, "the input")]
    rows = [model.tokens(text, where) for text, where in texts]
    records: list[dict[str, Any]] = []
    for answers in model.answer(rows, model.decoding(beam, steps)):
        for number in range(len(answers.values)):
            best = [shown(value, model.targets) for value in answers.values[number]]
            scores = [None] * len(best) if answers.scores is None else answers.scores[number].tolist()
            kept = [(text, score) for text, score in zip(best, scores, strict=True) if score != float("-inf")]
            alternatives = [{"answer": text, "log_probability": score} for text, score in kept]
            records.append({"input": texts[len(records)][0], "answer": kept[0][0], "alternatives": alternatives})
    if as_json:
        print_json({"run": run, "answers": records})
        return
    for record in records:
        if from_file:
            print(f"{record['input']}\t{record['answer']}")
        elif len(record["alternatives"]) > 1:
            for other in record["alternatives"]:
                print(f"{other['log_probability']:9.4f}  {other['answer']}")
        else:
            print(record["answer"])


def sample(
    run: Run,
    chars: Annotated[int, typer.Option(min=1, help="Characters to write.")] = 400,
    prompt: Annotated[str, typer.Option(help="What the text begins with; a new line unless given.")] = "",
    temperature: Annotated[float, typer.Option(min=0.0, help="0 for the likeliest character each time.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Only the likeliest K characters.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Texts.")] = 1,
    seed: Annotated[int, typer.Option(help="Text i depends on the seed and i alone.")] = 0,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Write text with a language model, character by character."""
    model = _model(run, runs_dir, device, checkpoint)
    network = language_model(model, run)
    begin = prompt or ("\n" if "\n" in model.inputs.names else model.inputs.names[0])
    tokens = torch.tensor(model.tokens(begin, "--prompt"), device=model.device)
    written = draw(network, tokens.expand(count, -1), chars, temperature=temperature, top_k=top_k, seed=seed)
    texts = [prompt + model.inputs.decode(row) for row in written.tolist()]
    if as_json:
        print_json({"run": run, "texts": texts})
        return
    print(("\n" + "-" * 40 + "\n").join(texts))


def export(
    run: Run,
    out: Annotated[Path, typer.Option(help="FILE.onnx; its symbols go to FILE.json.")],
    checkpoint: Checkpoint = "best",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Export the network, inputs [N, S] and lengths [N] to answers, and check the result in onnxruntime.

    Answers are logits or numbers; of a network that writes sequences, the tokens of the greedy answer.
    """
    check_suffix(out, TRACED_SUFFIXES)
    for path in (out, out.with_suffix(".json")):
        if path.exists() and not overwrite:
            raise UserError(f"{path} exists; --overwrite replaces it, or name another")
    difference = exporting.export(_model(run, runs_dir, "cpu", checkpoint), out)
    if as_json:
        print_json({"file": str(out), "largest_difference": difference})
    else:
        print(f"{out}: largest difference to the network {difference:.1e}")


def _model(run: str, runs_dir: Path, device: str, checkpoint: str) -> Model:
    path, place = find_run(run, runs_dir), devices.resolve(device)
    devices.apply(place)
    return load_model(path, place, checkpoint)


def _check_beam(model: Model, beam: int | None) -> None:
    if beam is not None and beam > 1 and model.shape not in ("one_to_many", "encoder_decoder"):
        raise UserError(f"--beam: a {model.shape} network writes no sequence; leave it out")


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(*table.columns, title=table.name, title_justify="left", box=None, pad_edge=False)
    for row in table.rows:
        drawn.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else str(cell)) for cell in row))
    return drawn


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte: a text
        return False


def _lines(path: Path) -> list[tuple[str, str]]:
    """Inputs of a file and the names of their lines."""
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        if path.suffix != ".jsonl":
            found.append((line.split("\t")[0], where))
            continue
        try:
            found.append((str(json.loads(line)["input"]), where))
        except (ValueError, TypeError, KeyError):
            raise UserError(f'{where}: not a JSON object with "input"') from None
    if not found:
        raise UserError(f"{path} holds no inputs")
    return found
