"""The verbs of `lab` that concern a supervised run: eval, predict and export."""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from lab.cli.arguments import Json, Run, RunsDir, print_json, say
from lab.cli.export import export_verb
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.data.augment import Draws
from lab.errors import UserError
from lab.nets import export as exporting
from lab.plots.images import save_png, to_uint8
from lab.plots.media import Image, Table
from lab.run.lookup import RUNS_DIR, find_run
from lab.supervised.data import examples_of
from lab.supervised.predict import predictions
from lab.supervised.tasks import task_of
from lab.supervised.transfer import Trained, load_trained

_SHOWN = 20  # lines of predictions on a terminal, unless they go to a file


def evaluate(
    run: Run,
    checkpoint: Checkpoint = "best",
    out: Annotated[Path | None, typer.Option(help="A folder for its pictures.")] = None,
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Grade a run on the examples that were held out, classes in all and one by one."""
    trained = _trained(run, runs_dir, device, checkpoint)
    train, test = examples_of(trained.config)
    if train.fingerprint != trained.fingerprint:
        raise UserError(
            f"{train.name} is not the data this run was trained on: what is held out of it may be what was learned "
            "from; put the old data back"
        )
    if trained.test_fingerprint != test.fingerprint:
        raise UserError(
            f"{test.name} is not the data this run was tested on: its grades would be of something else; put the old "
            "data back"
        )
    found = task_of(trained.config, train, trained.device).evaluate(trained.network, test, trained.device)
    grades = {name.removeprefix("eval/"): value for name, value in found.metrics.items()}
    by_class: dict[str, float] = {}
    for item in found.media:
        if isinstance(item, Image) and out is not None:
            save_png(out / f"{item.name}.png", item.pixels)
        if isinstance(item, Table) and item.name == "confusion":
            counts = {str(row[0]): [int(cell or 0) for cell in row[1:]] for row in item.rows}
            by_class = {name: row[i] / sum(row) for i, (name, row) in enumerate(counts.items()) if sum(row)}
    if as_json:
        kind = "pictures" if test.are_pictures else "rows"
        print_json({"run": run, kind: len(test)} | grades | ({"by_class": by_class} if by_class else {}))
        return
    say(f"{run}: {len(test):,} examples, " + ", ".join(f"{name} {value:.4g}" for name, value in grades.items()))
    if by_class:
        say(", ".join(f"{name} {share:.1%}" for name, share in by_class.items()))


def predict(
    run: Run,
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A picture, a folder or zip of them, or FILE.csv.")],
    out: Annotated[Path | None, typer.Option(help="A folder for the pictures that a run makes of pictures.")] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Say what a run's network makes of pictures, brought to their size as its own were, or of the rows of a table."""
    trained = _trained(run, runs_dir, device, checkpoint)
    task = trained.config.task.name
    if out is not None and task not in ("denoising", "reconstruction"):
        raise UserError(f"--out: this run's task is {task}, which makes no pictures")
    told: list[dict[str, Any]] = []
    taken: set[Path] = set()
    for names, inputs, answers in predictions(trained, source):
        told += [{"input": name} | said for name, said in zip(names, _said(trained, inputs, answers), strict=True)]
        if out is not None:
            for name, picture in zip(names, to_uint8(answers), strict=True):
                save_png(_picture_file(out, name, taken), picture.permute(1, 2, 0).numpy())
    if as_json:
        print_json({"run": run, "predictions": told})
        return
    for said in told[:_SHOWN]:
        say("  ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in said.values()))
    if len(told) > _SHOWN:
        say(f"... {len(told):,} in all; --json prints every one")


def _picture_file(out: Path, name: str, taken: set[Path]) -> Path:
    """Where the picture made of an input goes, which is noted. Raises UserError outside `out` and for one taken."""
    path = (out / name).with_suffix(".png")
    if not path.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{name!r} lies outside the folder that it would be written to; rename it")
    if path in taken:
        raise UserError(f"two inputs would both become {path}; give them names that differ by more than their suffix")
    taken.add(path)
    return path


@export_verb()
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the network and check the result.

    Inputs are images [N, C, R, R] in [-1, 1] or rows of a table [N, F] as they are in it. Outputs are logits, numbers
    in the target's unit, or images.
    """
    trained = load_trained(run, device_of("cpu"), checkpoint)
    inputs, others = (Draws(0, torch.arange(*span), 0).noise(torch.Size(trained.shape)) for span in ((2,), (2, 7)))
    return exporting.export(trained.network, (inputs,), (others,), out)


def _said(trained: Trained, inputs: Tensor, answers: Tensor) -> list[dict[str, Any]]:
    task = trained.config.task.name
    if task == "classification":
        chances, guessed = answers.softmax(1).max(1)
        pairs = zip(guessed.tolist(), chances.tolist(), strict=True)
        return [{"class": trained.classes[k], "probability": chance} for k, chance in pairs]
    if task == "regression":
        return [{"value": value} for value in answers.tolist()]
    if task == "reconstruction":
        errors = (answers - inputs).square().flatten(1).mean(1) / 4.0
        return [{"error": error} for error in errors.tolist()]
    return [{} for _ in answers]


def _trained(run: str, runs_dir: Path, device: str, checkpoint: str) -> Trained:
    return load_trained(find_run(run, runs_dir), device_of(device), checkpoint)
