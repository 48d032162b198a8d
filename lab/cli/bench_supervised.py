"""`lab bench supervised`: training speed of a preset, compared with a bare loop over the same network."""

import copy
from collections.abc import Callable
from typing import Annotated

import torch
import typer

from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.data.batches import Batches
from lab.errors import UserError
from lab.run import bench
from lab.run.lookup import RUNS_DIR
from lab.run.named_runs import load_by_path
from lab.run.scratch import scratch_experiment
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.supervised.inference import as_inputs
from lab.supervised.tasks.task import Batch
from lab.terminal.streams import say
from lab.train.device import Device, autocast
from lab.train.optimizers import make_optimizer


def bench_supervised(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A supervised preset.", show_default=False)],
    overrides: Overrides = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Seconds per round.")] = 4.0,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Measure training steps with data loading and augmentation, and compare them with a bare loop.

    The bare loop runs forward pass, loss, backward pass and optimizer of a copy of the network on one batch that is
    already on the device.
    """
    config = load_by_path(preset, overrides or [], runs_dir)
    if not isinstance(config, SupervisedConfig):
        raise UserError(f"{preset} is of kind {config.kind!r}, not supervised")
    with scratch_experiment(config) as (experiment, place):
        speed = bench.compare(experiment.step, _bare_step(experiment, place), seconds, place)
        data = bench.rate(_data_step(experiment), min(seconds, 2.0), place)
    batch = config.training.batch_size
    images_per_s, bare = speed.calls_per_s * batch, speed.bare_calls_per_s * batch
    record = bench.environment(place) | {
        "batch": batch,
        "images_per_s": images_per_s,
        "bare_images_per_s": bare,
        "ratio_to_bare": speed.ratio,
        "data_images_per_s": data * batch,
        "peak_memory_mb": bench.peak_memory_mb(),
    }
    if as_json:
        print_json(record)
        return
    say(
        f"{preset}, batch {batch}, {place.device}, {record['threads']} threads: {images_per_s:,.0f} images/s, "
        f"{speed.ratio:.2f} of the bare loop's {bare:,.0f}; data alone {data * batch:,.0f}"
    )


def _bare_step(experiment: Supervised, device: Device) -> Callable[[], object]:
    network = copy.deepcopy(experiment.network).train()
    optimizer = make_optimizer(network, experiment.config.training)
    inputs, targets = Batches(experiment.train, device.device, 0).at(0, experiment.config.training.batch_size)
    assert targets is not None
    batch = Batch(as_inputs(inputs), targets, torch.arange(len(inputs), device=device.device))

    def step() -> None:
        with autocast(device):
            total, weight = experiment.loss(network, batch)
        optimizer.zero_grad(set_to_none=True)
        (total / weight).backward()
        optimizer.step()

    return step


def _data_step(experiment: Supervised) -> Callable[[], object]:
    shown = 0

    def step() -> None:
        nonlocal shown
        experiment.batches.at(shown)
        shown += experiment.config.training.batch_size

    return step
