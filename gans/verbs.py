"""The verbs of `lab` that concern generators: sample, export and eval."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gans import export as exporting
from gans.files import save_clip, save_folder, save_zip
from gans.model import Sampler, load_sampler
from gans.pictures import grid, save_png
from gans.sampling import draw, growth, interpolation, labels_of, read_latents, sample_batches
from lab import device as devices
from lab.errors import UserError
from lab.verbs import RUNS_DIR, Json, Run, RunsDir, find_run, print_json

Checkpoint = Annotated[str, typer.Option("--checkpoint", help="latest, best or an iteration.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def sample(
    run: Run,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Pictures.")] = 64,
    seed: Annotated[int, typer.Option(help="Picture i depends on the seed and i alone.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder, or FILE.zip in the StyleGAN layout.")] = None,
    grid_file: Annotated[Path | None, typer.Option("--grid", help="One PNG of all pictures.")] = None,
    interpolate: Annotated[Path | None, typer.Option(help="FILE.gif or FILE.mp4: a walk between latents.")] = None,
    growth_file: Annotated[Path | None, typer.Option("--growth", help="PNG: the same latents at every stage.")] = None,
    latents: Annotated[Path | None, typer.Option(help="FILE.npy of latents [N, latent] in place of the seed.")] = None,
    label: Annotated[int | None, typer.Option("--class", min=0, help="Of a conditional run.")] = None,
    checkpoint: Checkpoint = "latest",
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Draw from a run's averaged generator at the stage it has reached.

    Without --out, --grid, --interpolate or --growth: a grid in samples.png.
    """
    if not (out or grid_file or interpolate or growth_file):
        grid_file = Path("samples.png")
    for path in (out, grid_file, interpolate, growth_file):
        if path is not None and path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
            raise UserError(f"{path} exists; --overwrite replaces it, or name another")
    sampler = load_sampler(find_run(run, runs_dir), _device(device), checkpoint)
    _check_label(sampler, label)
    if latents is not None:
        given = read_latents(sampler, latents)
        batches = iter([draw(sampler, given, labels_of(sampler, range(len(given)), seed, label))])
        count = len(given)
        indices = list(range(count))
    else:
        indices = list(range(count))
        batches = sample_batches(sampler, indices, seed, label)
    if out is not None and grid_file is not None:
        raise UserError("give --out or --grid, not both: the same pictures come again with the same --seed")
    if out is not None:
        drawn = labels_of(sampler, indices, seed, label)
        names = None if drawn is None else drawn.tolist()
        save_zip(out, batches, names) if out.suffix == ".zip" else save_folder(out, batches)
        _said(f"{count} pictures in {out}")
    if grid_file is not None:
        import torch

        save_png(grid_file, grid(torch.cat(list(batches))))
        _said(f"{count} pictures in {grid_file}")
    if interpolate is not None:
        cells = min(count, 16)
        frames = (grid(images) for images in interpolation(sampler, cells, 5, 20, seed, label))
        _said(f"{save_clip(interpolate, frames)} frames in {interpolate}")
    if growth_file is not None:
        columns = min(count, 16)
        save_png(growth_file, grid(growth(sampler, columns, seed, label), columns=columns))
        _said(f"{columns} latents at every stage in {growth_file}")


def export(
    run: Run,
    out: Annotated[Path, typer.Option(help="FILE.onnx, or FILE.pt2 for torch.export.")],
    checkpoint: Checkpoint = "latest",
    overwrite: Overwrite = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Export the generator, latents [N, latent] to pictures [N, C, R, R] in [-1, 1], and check the result."""
    if out.exists() and not overwrite:
        raise UserError(f"{out} exists; --overwrite replaces it, or name another")
    sampler = load_sampler(find_run(run, runs_dir), _device("cpu"), checkpoint)
    difference = exporting.export(sampler, out)
    if as_json:
        print_json({"file": str(out), "largest_difference": difference})
    else:
        _said(f"{out}: largest difference to the network {difference:.1e}")


def evaluate(
    run: Run,
    count: Annotated[int, typer.Option("--samples", min=16, help="Generated pictures.")] = 2000,
    against: Annotated[str, typer.Option(help="Real pictures; the run's own data unless given.")] = "",
    extractor: Annotated[str, typer.Option(help="pixels or a supervised run's directory.")] = "pixels",
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    checkpoint: Checkpoint = "latest",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Compare a run's pictures with real ones; the floor is what two halves of the real ones score."""
    import torch

    from gans.experiment import check_data, reals_at
    from gans.quality.features import load_extractor
    from gans.quality.report import Quality
    from lab.data.images import open_images

    place = _device(device)
    sampler = load_sampler(find_run(run, runs_dir), place, checkpoint)
    data = open_images(against or sampler.config.data.source)
    check_data(sampler.config, data)
    real = reals_at(data, min(len(data), max(count, 2)), sampler.stage._replace(alpha=1.0))
    features = load_extractor(extractor, place)
    fake = torch.cat(list(sample_batches(sampler, range(count), seed)))
    quality = Quality(real, features, seed=seed)
    values, floor = quality.grade(fake), quality.floor()
    record: dict[str, Any] = {"run": run, "images_shown": sampler.images_shown, "samples": count, "real": len(real)}
    classify = getattr(features, "classify", None)
    if classify is not None:
        found = torch.bincount(
            torch.cat([classify(rows).cpu() for rows in fake.split(256)]), minlength=data.num_classes
        )
        record["class_shares"] = (found / len(fake)).tolist()
    if as_json:
        print_json(record | values | floor)
        return
    table = Table(title=f"{run}: {count:,} samples against {len(real):,} real pictures, {extractor}")
    for column in ("metric", "samples", "floor"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, value in values.items():
        table.add_row(name.removeprefix("quality/"), f"{value:.4g}", f"{floor[name + '_floor']:.4g}")
    console = Console(highlight=False)
    console.print(table)
    if classify is not None:
        console.print("shares of the classes: " + ", ".join(f"{share:.1%}" for share in record["class_shares"]))


def _check_label(sampler: Sampler, label: int | None) -> None:
    classes = sampler.config.network.classes
    if label is not None and not classes:
        raise UserError("--class: this run is unconditional; train one with network.classes set")
    if label is not None and label >= classes:
        raise UserError(f"--class {label}: this run has classes 0 to {classes - 1}")


def _device(name: str) -> devices.Device:
    place = devices.resolve(name)
    devices.apply(place)
    return place


def _said(line: str) -> None:
    Console(highlight=False).print(line, soft_wrap=True, markup=False)
