"""A run's network read back, and its trunk given to another."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.config.loading import load_run_config
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint as checkpoints
from lab.run.lookup import locate_run
from lab.supervised.config import SupervisedConfig, TrunkConfig
from lab.supervised.network import Network, build_network
from lab.train.device import Device

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A run's network in evaluation mode; `shape` is that of an input, [C, R, R] or [F], and `columns` of a table's.

    rule: how the pictures were brought to their size, "" where nobody wrote that down. fingerprint, test_fingerprint:
    of the examples that it was trained and tested on, the latter "" where an old run does not say.
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
    config = load_run_config(run / "config.yaml")
    if not isinstance(config, SupervisedConfig):
        raise UserError(f"{run} is a run of kind {config.kind!r}, not supervised")
    path = checkpoints.choose(run, checkpoint, _log.warning)
    state = checkpoints.load(path)[0]
    try:
        weights = state["experiment"]["network"]
        described = state["experiment"].get("examples") or _described_by(weights)
        shape, classes = tuple(described["shape"]), tuple(described["classes"])
        network = build_network(config, shape, len(classes))
        network.load_state_dict(weights)
        data, test_data = str(state["experiment"]["data"]), str(state["experiment"].get("test_data", ""))
    except (KeyError, TypeError, RuntimeError):
        raise CheckpointError(f"{path}: its network is not that of the run's config.yaml") from None
    network = network.to(device.device).eval().requires_grad_(False)
    columns, rule = tuple(described.get("columns", ())), str(described.get("rule", ""))
    return Trained(network, config, shape, classes, columns, rule, device, data, test_data)


def _described_by(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What runs of the first version, all CNNs of 32-pixel pictures, do not say of their examples."""
    channels, classes = weights["trunk.block0.conv.weight"].shape[1], len(weights["out.bias"])
    return {"shape": [channels, 32, 32], "classes": [str(number) for number in range(classes)]}


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
