"""A run's network read back, and its trunk given to another."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lab.errors import UserError
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.run.lookup import locate_run
from lab.supervised.config import SupervisedConfig, TrunkConfig
from lab.supervised.network import Network, build_network
from lab.train.device import Device


@dataclass(frozen=True)
class Trained:
    """A run's network in evaluation mode; `shape` is that of an input, [C, R, R] or [F], and `columns` of a table's.

    rule: how the pictures were brought to their size, "" where nobody wrote that down. fingerprint, test_fingerprint:
    of the examples that it was trained and tested on.
    """

    network: Network
    config: SupervisedConfig
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    rule: str
    device: Device
    fingerprint: str
    test_fingerprint: str


def load_trained(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Trained:
    """The network of a supervised run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    found = load_run(run, SupervisedConfig, checkpoint)
    with found.restoring() as state:
        described = state["examples"]
        shape, classes = tuple(described["shape"]), tuple(described["classes"])
        network = build_network(found.config, shape, len(classes))
        network.load_state_dict(state["network"])
        data, test_data = str(state["data"]), str(state["test_data"])
        columns, rule = tuple(described["columns"]), str(described["rule"])
    network = network.to(device.device).eval().requires_grad_(False)
    return Trained(network, found.config, shape, classes, columns, rule, device, data, test_data)


def load_trunk(run: Path, checkpoint: str = checkpoints.BEST) -> dict[str, Tensor]:
    """The weights and statistics of a run's trunk by name, on the CPU; raises UserError."""
    return load_trained(run, Device(torch.device("cpu"), "fp32", 1), checkpoint).network.trunk.state_dict()


def start_from(network: Network, config: TrunkConfig, runs_dir: Path) -> None:
    """Give the network the trunk that its configuration names. Raises UserError where it does not fit."""
    run = locate_run(config.run, runs_dir)
    if run is None:
        raise UserError(f"trunk.run: no run {config.run!r} in {runs_dir}, and no run at that path")
    given, wanted = load_trunk(run, config.checkpoint), network.trunk.state_dict()
    for name in [*wanted, *given]:
        ours, theirs = wanted.get(name), given.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            raise UserError(
                f"trunk.run: the trunk of {run.name} does not fit this network: {name} is {_size(theirs)} there and "
                f"{_size(ours)} here; give both the same network and the same kind of pictures"
            )
    network.trunk.load_state_dict(given)


def _size(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else str(list(tensor.shape))
