"""The verbs of `lab` for a time-series GAN: sample, export and eval."""

from pathlib import Path
from typing import Annotated

import typer

from gans.series import export as exporting
from gans.series.dataset import check_same, open_series
from gans.series.evaluation import LEAST, SeriesMetrics
from gans.series.experiment import reference_series
from gans.series.figures import plot_series
from gans.series.metrics import CATALOGUE
from gans.series.sample_files import SUFFIXES, save_array, save_csv
from gans.series.sampler import load_sampler
from gans.verbs import check_output, print_evaluation
from lab.cli.arguments import Json, Run, RunsDir
from lab.cli.export import export_verb
from lab.cli.options import Checkpoint, DeviceName, EvalSeed, Overwrite, SampleSeed, device_of
from lab.plots.images import save_png
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.streams import say

_COUNT, _PLOTTED, _SCORED = 64, 12, 1000


def sample(
    run: Run,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of series.")] = _COUNT,
    seed: SampleSeed = 0,
    out: Annotated[Path | None, typer.Option(help="FILE.csv, a row for each step, or FILE.npy, [N, T, C].")] = None,
    plot: Annotated[Path | None, typer.Option(help=f"FILE.png of the first {_PLOTTED} series.")] = None,
    label: Annotated[str | None, typer.Option("--class", help="Class name, for a conditional run.")] = None,
    checkpoint: Checkpoint = "latest",
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Sample series from a run's averaged generator, in the units of its data.

    Without --out or --plot: a plot in samples.png.
    """
    if out is None and plot is None:
        plot = Path("samples.png")
    if out is not None:
        check_output("--out", out, SUFFIXES, overwrite)
    if plot is not None:
        check_output("--plot", plot, (".png",), overwrite)
    sampler = load_sampler(find_run(run, runs_dir), device_of(device), checkpoint)
    which, number = range(count), sampler.class_number(label, "--class")
    labels, restore = sampler.labels(which, seed, number), sampler.summary.scale.restore
    classes = "" if labels is None else f" ({sampler.classes.counts(labels)})"
    if out is not None:
        batches = (restore(batch) for batch in sampler.batches(which, seed, labels))
        if out.suffix.lower() == ".csv":
            names = None if labels is None else [sampler.classes.names[index] for index in labels.tolist()]
            save_csv(out, batches, sampler.summary.scale.columns, names)
        else:
            save_array(out, batches)
        say(f"{count:,} series of {sampler.config.data.length} steps and {sampler.channels} channels{classes} in {out}")
    if plot is not None:
        shown = min(count, _PLOTTED)
        labels = None if labels is None else labels[:shown]
        classes = "" if labels is None else f" ({sampler.classes.counts(labels)})"
        series = restore(sampler.sample(range(shown), seed, labels))
        save_png(plot, plot_series(series, sampler.summary.scale.columns))
        say(f"{shown} series{classes} after {sampler.series_shown:,} real series in {plot}")


@export_verb(checkpoint="latest")
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the generator, noise [N, T, latent] and [N, series_latent] to series [N, T, C], and check the result."""
    return exporting.export(load_sampler(run, device_of("cpu"), checkpoint), out)


def evaluate(
    run: Run,
    count: Annotated[
        int | None,
        typer.Option("--samples", min=LEAST, help="Number of series; evaluate.samples by default."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Training steps of the scores' networks; evaluate.score_steps by default."),
    ] = None,
    seed: EvalSeed = 0,
    checkpoint: Checkpoint = "latest",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Compare a run's series with held-out real series; the floor is the metric of other real series."""
    place = device_of(device)
    sampler = load_sampler(find_run(run, runs_dir), place, checkpoint)
    config = sampler.config
    data = open_series(config.data, config.seed)
    otherwise = "its held-out series may have been trained on; restore the old data"
    check_same(config.data, data.fingerprint(), sampler.fingerprint, otherwise)
    own = config.evaluate
    options = own.model_copy(
        update={"samples": count or own.samples or _SCORED, "score_steps": steps or own.score_steps}
    )
    reference = reference_series(data, config.model_copy(update={"evaluate": options}))
    count = len(reference.held_out)
    scores = SeriesMetrics(reference.held_out, reference.training, options, config.seed, place)
    found = scores.evaluate(sampler.sample(range(count), seed, reference.labels)) | scores.floor()
    record = {"run": run, "series_shown": sampler.series_shown, "samples": count}
    heading = f"{run}: {count:,} generated series against as many held-out ones of {config.data.source}"
    if reference.labels is not None:
        heading += f"\nclasses, as held out: {sampler.classes.counts(reference.labels)}"
    print_evaluation(heading, found, CATALOGUE, record=record if as_json else None)
