"""Transfer learning: load the network of a run, and initialise a trunk from it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lab.errors import CheckpointError, UserError
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.run.lookup import locate_run
from lab.supervised.config import SupervisedConfig, TrunkConfig
from lab.supervised.network import Network
from lab.supervised.preprocessing import Preprocessing, from_json
from lab.train.device import Device


@dataclass(frozen=True)
class Trained:
    """A run's network in evaluation mode, and a description of its data.

    shape: of a network input, [C, R, R] or [F]; preprocessing: of a table's columns. rule: how images were cropped and
    resized, "" if unknown. fingerprint, test_fingerprint: of the training and the test set.
    """

    network: Network
    config: SupervisedConfig
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    preprocessing: Preprocessing | None
    rule: str
    device: Device
    fingerprint: str
    test_fingerprint: str


def build_network(config: SupervisedConfig, shape: tuple[int, ...], classes: int) -> Network:
    """A new network for inputs of `shape`, [C, R, R] or [F]. Raises UserError if the image size does not fit."""
    return config.task.build(config.network.build(shape), shape, classes)


def load_trained(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Trained:
    """The network of a supervised run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    found = load_run(run, SupervisedConfig, checkpoint)
    with found.restoring() as state:
        described = state["samples"]
        shape, classes = tuple(described["shape"]), tuple(described["classes"])
        network = build_network(found.config, shape, len(classes))
        network.load_state_dict(state["network"])
        data, test_data = str(state["data"]), str(state["test_data"])
        preprocessing = None if described.get("preprocessing") is None else from_json(described["preprocessing"])
        if len(shape) == 1 and preprocessing is None and not found.config.task.needs_sound:
            raise CheckpointError(
                "it was written by a version that did not keep the preprocessing of a table's columns"
            )
        if preprocessing is not None and (
            (preprocessing.width,) != shape or (preprocessing.target_statistics is None) != bool(classes)
        ):
            raise CheckpointError("its preprocessing of the table's columns does not fit its network")
        rule = str(described["rule"])
    network = network.to(device.device).eval().requires_grad_(False)
    return Trained(network, found.config, shape, classes, preprocessing, rule, device, data, test_data)


def load_trunk(run: Path, checkpoint: str = checkpoints.BEST) -> dict[str, Tensor]:
    """The trunk of a run: weights and statistics by name, on the CPU. Raises UserError."""
    return load_trained(run, Device(torch.device("cpu"), "fp32", 1), checkpoint).network.trunk.state_dict()


def start_from(network: Network, config: TrunkConfig, runs_dir: Path) -> None:
    """Load the configured trunk into the network. Raises UserError if it does not fit."""
    run = locate_run(config.run, runs_dir)
    if run is None:
        raise UserError(f"trunk.run: no run {config.run!r} in {runs_dir}, and no run at that path")
    loaded, own = load_trunk(run, config.checkpoint), network.trunk.state_dict()
    for name in [*own, *loaded]:
        ours, theirs = own.get(name), loaded.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            raise UserError(
                f"trunk.run: the trunk of {run.name} does not fit this network: {name} is {_size(theirs)} there and "
                f"{_size(ours)} here; give both the same network and images of the same kind"
            )
    network.trunk.load_state_dict(loaded)


def _size(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else str(list(tensor.shape))
