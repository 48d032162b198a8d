"""The verbs of `lab` for a progressive GAN: sample, export and eval."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from gans.progressive import export as exporting
from gans.progressive.dataset import LEAST
from gans.progressive.metrics import CATALOGUE
from gans.progressive.sample_files import save_folder, save_zip
from gans.progressive.sampler import Sampler, load_sampler
from gans.progressive.sampling import (
    generate_batches,
    growth,
    interpolation,
    labels_of,
    latents_of,
    read_latents,
    sample_batches,
)
from gans.verbs import check_output, print_evaluation
from lab.cli.arguments import Json, Run, RunsDir
from lab.cli.export import export_verb
from lab.cli.options import Checkpoint, DeviceName, EvalSeed, Overwrite, SampleSeed, check_absent, device_of
from lab.errors import UserError
from lab.plots.clips import CLIPS, save_clip
from lab.plots.images import enlarged, grid, save_png
from lab.run.lookup import RUNS_DIR, find_run, locate_run
from lab.terminal.streams import say

_SUFFIXES = {"--grid": (".png",), "--growth": (".png",), "--interpolate": CLIPS}
_COUNT, _SHOWN = 64, 16  # images; cells of a clip and columns of a growth
_MOST_SCALE = 64
_MOST_SIDE, _MOST_CLIP_SIDE = 2**14, 2**12  # pixels; memory is three bytes for each, times the frames of a clip
_KEYS, _BETWEEN = 5, 20  # latents of an interpolation, frames between two of them


def sample(
    run: Run,
    count: Annotated[int | None, typer.Option("-n", "--count", min=1, help=f"Images, {_COUNT} by default.")] = None,
    seed: SampleSeed = 0,
    out: Annotated[Path | None, typer.Option(help="A folder, or FILE.zip in the StyleGAN layout.")] = None,
    grid_file: Annotated[Path | None, typer.Option("--grid", help="FILE.png of all images.")] = None,
    interpolate: Annotated[Path | None, typer.Option(help="FILE.gif or .mp4: interpolation between latents.")] = None,
    growth_file: Annotated[Path | None, typer.Option("--growth", help="FILE.png: images at every resolution.")] = None,
    latents: Annotated[
        Path | None, typer.Option(help="FILE.npy of latents [N, latent] in place of the seed's.")
    ] = None,
    label: Annotated[str | None, typer.Option("--class", help="Class name, for a conditional run.")] = None,
    scale: Annotated[
        int, typer.Option(min=1, max=_MOST_SCALE, help="Screen pixels per side of a pixel in grids and clips.")
    ] = 1,
    checkpoint: Checkpoint = "latest",
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Sample images from a run's averaged generator at the stage it has reached.

    Without --out, --grid, --interpolate or --growth: a grid in samples.png.
    """
    if not (out or grid_file or interpolate or growth_file):
        grid_file = Path("samples.png")
    outputs = {"--out": out, "--grid": grid_file, "--interpolate": interpolate, "--growth": growth_file}
    _check_outputs({option: path for option, path in outputs.items() if path is not None}, overwrite)
    if latents is not None and count is not None:
        raise UserError("-n and --latents contradict each other: every latent of the file makes an image")
    sampler = load_sampler(find_run(run, runs_dir), device_of(device), checkpoint)
    number = sampler.class_number(label, "--class")
    given = None if latents is None else read_latents(sampler, latents)
    if given is not None and len(given) < 2 and interpolate is not None:
        raise UserError(f"--interpolate needs two latents and {latents} has one")
    count = len(given) if given is not None else count or _COUNT
    shown = min(count, _SHOWN)
    _check_sizes(sampler, outputs, scale, count, shown)
    labels = labels_of(sampler, range(count), seed, number)
    if out is not None or grid_file is not None:
        if given is None:
            batches = sample_batches(sampler, range(count), seed, labels)
        else:
            batches = generate_batches(sampler, given, labels)
        what = f"{count:,} images{_classes(sampler, labels)} of {_stage(sampler)}"
        _save_images(batches, labels, sampler.classes.names, out, grid_file, scale, what)
    if interpolate is not None:
        if given is None:
            keys = latents_of(sampler, range(_KEYS * shown), seed).view(_KEYS, shown, -1)
        else:
            keys = given[:, None]
        frames = interpolation(sampler, keys, _BETWEEN, None if labels is None else labels[: keys.shape[1]])
        written = save_clip(interpolate, (grid(enlarged(images, scale)) for images in frames))
        cells = _classes(sampler, None if labels is None else labels[: keys.shape[1]])
        say(f"{written} frames through {len(keys)} latents{cells} in {interpolate}")
    if growth_file is not None:
        columns = latents_of(sampler, range(shown), seed) if given is None else given[:shown]
        rows = growth(sampler, columns, None if labels is None else labels[:shown])
        save_png(growth_file, grid(enlarged(rows, scale), columns=shown))
        columns_of = _classes(sampler, None if labels is None else labels[:shown])
        say(f"{shown} latents{columns_of} at {len(rows) // shown} resolutions in {growth_file}")


@export_verb(checkpoint="latest")
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the generator, latents [N, latent] to images [N, C, R, R] in [-1, 1], and check the result."""
    return exporting.export(load_sampler(run, device_of("cpu"), checkpoint), out)


def evaluate(
    run: Run,
    count: Annotated[
        int | None, typer.Option("--samples", min=LEAST, help="Generated and real images; up to 2,000 by default.")
    ] = None,
    against: Annotated[str, typer.Option(help="Real images; the run's own data by default.")] = "",
    extractor: Annotated[str, typer.Option(help="pixels, inception or a supervised run.")] = "pixels",
    seed: EvalSeed = 0,
    checkpoint: Checkpoint = "latest",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Compare a run's images with real ones; the floor is the metric of other real images.

    With --against, the floor compares as many of the run's own training images.
    """
    from gans.progressive.dataset import reference_images
    from gans.quality.features import extract, load_extractor
    from gans.quality.image_metrics import ImageMetrics, class_fractions, recognised_fraction

    place = device_of(device)
    sampler = load_sampler(find_run(run, runs_dir), place, checkpoint)
    features = load_extractor(str(locate_run(extractor, runs_dir) or extractor), place)
    reference = reference_images(sampler, against, count)
    count = len(reference.real)
    quality = ImageMetrics(reference.real, features, others=reference.others, seed=seed)
    labels = labels_of(sampler, range(count), seed) if reference.labels is None else reference.labels
    fake = torch.cat(list(sample_batches(sampler, range(count), seed, labels)))
    of_fake = extract(features, fake)
    found, fractions = quality.evaluate(fake, of_fake) | quality.floor(), class_fractions(features, of_fake)
    recognised: dict[str, float] = {}
    if reference.labels is not None:
        sets = {"recognised": of_fake, "recognised_real": extract(features, reference.real)}
        names = sampler.classes.names
        shares = {name: recognised_fraction(features, of, reference.labels, names) for name, of in sets.items()}
        recognised = {name: share for name, share in shares.items() if share is not None}
    source = against or sampler.config.data.source
    record: dict[str, Any] = {
        "run": run,
        "images_shown": sampler.images_shown,
        "resolution": sampler.stage.resolution,
        "samples": count,
        "real": count,
        "against": source,
        "extractor": extractor,
        "floor": reference.floor,
    } | ({"class_fractions": fractions} if fractions else {})
    record |= recognised
    heading = f"{run}: {count:,} samples against {count:,} images of {source}, features: {extractor}"
    if labels is not None:
        heading += f"\nclasses of the samples: {sampler.classes.counts(labels)}"
    print_evaluation(f"{heading}\nfloor: {reference.floor}", found, CATALOGUE, record=record if as_json else None)
    if fractions and not as_json:
        say("class fractions: " + ", ".join(f"{fraction:.1%}" for fraction in fractions))
    if recognised and not as_json:
        of_samples, of_real = recognised["recognised"], recognised["recognised_real"]
        say(f"recognised as the class asked for: {of_samples:.1%} of the samples, {of_real:.1%} of the real images")


def _check_outputs(outputs: Mapping[str, Path], overwrite: bool) -> None:
    """Raise UserError for files that cannot be written or would be lost, before anything is loaded."""
    for option, path in outputs.items():
        if option in _SUFFIXES:
            check_output(option, path, _SUFFIXES[option], overwrite)
        elif path.suffix[1:].isalpha() and path.suffix.lower() != ".zip" and not path.is_dir():
            raise UserError(f"--out {path}: give FILE.zip, or a folder (one with a dot must exist already)")
        elif not path.is_dir() or any(path.iterdir()):
            check_absent(path, overwrite)
    if len({path.resolve() for path in outputs.values()}) < len(outputs):
        raise UserError(f"{' and '.join(outputs)} name the same file; give each its own")


def _check_sizes(sampler: Sampler, outputs: Mapping[str, Path | None], scale: int, count: int, shown: int) -> None:
    """Raise UserError for an image that memory or its format cannot hold, before anything is generated."""
    stages = sampler.stage.level + 1
    cells = {"--grid": count, "--growth": max(shown, stages) ** 2, "--interpolate": shown}
    for option, number in cells.items():
        side = math.ceil(math.sqrt(number)) * (sampler.stage.resolution * scale + 1)
        most = _MOST_CLIP_SIDE if option == "--interpolate" else _MOST_SIDE
        if outputs[option] is not None and side > most:
            raise UserError(f"{option} would have sides of {side:,} pixels, more than {most:,}: lower -n or --scale")


def _save_images(
    batches: Iterable[Tensor],
    labels: Tensor | None,
    classes: Sequence[str],
    out: Path | None,
    grid_file: Path | None,
    scale: int,
    what: str,
) -> None:
    if grid_file is not None:
        batches = list(batches)  # generated once for both files
        save_png(grid_file, grid(enlarged(torch.cat(batches), scale)))
        say(f"{what} in {grid_file}")
    if out is not None:
        save = save_zip if out.suffix.lower() == ".zip" else save_folder
        save(out, batches, None if labels is None else labels.tolist(), classes)
        say(f"{what} in {out}")


def _classes(sampler: Sampler, labels: Tensor | None) -> str:
    """Names and numbers of the classes in brackets, nothing for an unconditional run."""
    return "" if labels is None else f" ({sampler.classes.counts(labels)})"


def _stage(sampler: Sampler) -> str:
    stage = sampler.stage
    fade = f", alpha {stage.alpha:.2f}" if stage.alpha < 1.0 else ""
    return f"{stage.resolution} x {stage.resolution} after {sampler.images_shown:,} images{fade}"
