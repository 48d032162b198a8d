"""The verbs of `lab` for a supervised run: eval, predict and export."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lab.audio.wav import write_wav
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.baselines import Baselines, baselines_record, say_baselines
from lab.cli.export import export_verb
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.errors import UserError
from lab.plots.images import save_png, to_uint8
from lab.plots.media import Image, Table
from lab.run.lookup import RUNS_DIR, find_run
from lab.supervised.data import training_and_test, verify_data
from lab.supervised.export import export_network
from lab.supervised.predict import predictions
from lab.supervised.tasks.speech_denoising import SpeechDenoising
from lab.supervised.transfer import Trained, load_trained
from lab.terminal.streams import say

_SHOWN = 20  # predictions printed on a terminal


def evaluate(
    run: Run,
    checkpoint: Checkpoint = "best",
    out: Annotated[Path | None, typer.Option(help="Folder for the figures.")] = None,
    baselines: Baselines = False,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Evaluate a run on its test set; classifications also by class."""
    trained = _trained(run, runs_dir, device, checkpoint)
    train, test = training_and_test(trained.config, trained.preprocessing)
    if train.fingerprint != trained.fingerprint:
        raise UserError(
            f"{train.name} is not the data this run was trained on: its test set may contain training samples; put the "
            "old data back"
        )
    if trained.test_fingerprint != test.fingerprint:
        raise UserError(
            f"{test.name} is not the data this run was tested on: its metrics could not be compared; put the old data "
            "back"
        )
    verify_data(trained.config)
    config = trained.config
    found = config.task.evaluate(trained.network, test, trained.device, config.seed)
    values = {name.removeprefix("eval/"): value for name, value in found.metrics.items()}
    by_class: dict[str, float] = {}
    for item in found.media:
        if isinstance(item, Image) and out is not None:
            save_png(out / f"{item.name}.png", item.pixels)
        if isinstance(item, Table) and item.name == "confusion":
            counts = {str(row[0]): [int(cell or 0) for cell in row[1:]] for row in item.rows}
            by_class = {name: row[i] / sum(row) for i, (name, row) in enumerate(counts.items()) if sum(row)}
    beside = config.task.baselines(train, test, config.seed) if baselines else {}
    if baselines and not beside:
        raise UserError(f"--baselines: task.name={config.task.name} has none; leave it out")
    kind = test.unit
    if as_json:
        more = {"by_class": by_class} if by_class else {}
        print_json({"run": run, kind: len(test)} | values | more | baselines_record(beside))
        return
    say(f"{run}: {len(test):,} test {kind}, " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
    if by_class:
        say("accuracy by class: " + ", ".join(f"{name} {fraction:.1%}" for name, fraction in by_class.items()))
    say_baselines(found.metrics, beside)


def predict(
    run: Run,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="An image, a folder or zip of images, FILE.csv, or WAV files.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for output images or recordings (denoising, reconstruction).")
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Predict for images, resized like the training images, for the rows of a table, or for recordings."""
    trained = _trained(run, runs_dir, device, checkpoint)
    task = trained.config.task
    sound = isinstance(task, SpeechDenoising)
    if out is not None and not (task.writes_images or sound):
        raise UserError(f"--out: this run's task is {task.name}, whose outputs are not images")
    records: list[dict[str, Any]] = []
    taken: set[Path] = set()
    for names, inputs, outputs in predictions(trained, source):
        predicted = task.predictions(inputs, outputs, trained.classes)
        records += [{"input": name} | record for name, record in zip(names, predicted, strict=True)]
        if out is not None and isinstance(task, SpeechDenoising):
            for name, samples in zip(names, outputs, strict=True):
                write_wav(_output_file(out, name, taken, ".wav"), samples, task.rate)
        elif out is not None:
            for name, image in zip(names, to_uint8(outputs), strict=True):
                save_png(_output_file(out, name, taken, ".png"), image.permute(1, 2, 0).numpy())
    if as_json:
        print_json({"run": run, "predictions": records})
        return
    for record in records[:_SHOWN]:
        values = [value for value in record.values() if not isinstance(value, dict)]
        say("  ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
    if len(records) > _SHOWN:
        say(f"... {len(records):,} predictions; --json prints all")


def _output_file(out: Path, name: str, taken: set[Path], suffix: str) -> Path:
    """The file for the output of an input. Raises UserError for a file outside `out` or already in `taken`."""
    path = (out / name).with_suffix(suffix)
    if not path.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{name!r} lies outside the folder that it would be written to; rename it")
    if path in taken:
        raise UserError(f"two inputs would both be written to {path}; rename one (suffixes do not count)")
    taken.add(path)
    return path


@export_verb()
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the network and check the result.

    Inputs are images [N, C, R, R] in [-1, 1], or rows of a table float64 [N, R] as they are: numbers (NaN for a
    blank), truth values as 0 or 1, dates in days since 1970, and one input for each category (one-hot).
    Outputs are logits, numbers in the target's unit, or images. The metadata names inputs, columns and classes.
    """
    return export_network(load_trained(run, device_of("cpu"), checkpoint), out)


def _trained(run: str, runs_dir: Path, device: str, checkpoint: str) -> Trained:
    return load_trained(find_run(run, runs_dir), device_of(device), checkpoint)
