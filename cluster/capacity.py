"""Capacity model of AlphaZero on many GPUs: network traffic, replay memory, learners and the bottleneck.

A balance of rates, not a simulation: some GPUs play, the others learn; the head node holds the replay buffer and
sends the weights. `lab capacity PRESET --gpus 64 evaluations_per_s=...` computes it; CAPACITY.md explains it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from lab.config.loading import load_preset, validate
from lab.config.sections import Config
from lab.errors import UserError

if TYPE_CHECKING:
    from agents.alphazero.config import AlphaZeroConfig

GPUS = (8, 64, 512)


class Figures(Config):
    """Measured figures that the model needs. Rates are per second."""

    evaluations_per_s: PositiveFloat = Field(
        description="Positions per second through the network on one GPU (raw_evals_per_s of `lab bench selfplay`)."
    )
    worker_positions_per_s: PositiveFloat = Field(
        description="Positions per second of one self-play worker, with tree and rules (moves_per_s)."
    )
    workers_per_gpu: PositiveInt = Field(1, description="Self-play workers that share one GPU.")
    learner_samples_per_s: PositiveFloat = Field(description="Samples per second of one learner GPU.")
    evaluations_per_position: PositiveFloat = Field(
        description="Network evaluations per move: simulations + 1, less the hits of the evaluation cache."
    )
    replay_ratio: PositiveFloat = Field(description="Number of times that a position is used for training.")
    positions_per_version: PositiveFloat = Field(description="Positions between two published versions of the weights.")
    window_positions: PositiveInt = Field(description="Smallest number of positions in the replay buffer.")
    window_s: NonNegativeFloat = Field(description="Shortest time that a position stays in the replay buffer, s.")
    bytes_per_position: PositiveFloat = Field(description="Size of a position on the way to the head node, bytes.")
    weight_bytes: PositiveFloat = Field(description="Size of one version of the weights, bytes.")
    learner_gpus: PositiveInt = Field(description="Largest number of GPUs that can learn together.")
    gpus_per_node: PositiveInt = Field(description="GPUs per node; a node fetches each version of the weights once.")
    head_positions_per_s: PositiveFloat = Field(
        description="Positions per second that the learner's process can receive."
    )
    network_bytes_per_s: PositiveFloat = Field(
        description="Bandwidth of the head node's network interface in each direction, bytes/s."
    )
    memory_bytes: PositiveFloat = Field(description="Memory of the head node for the replay buffer, bytes.")


ASSUMED = {
    "evaluations_per_s": 1_000_000.0,
    "worker_positions_per_s": 15_000.0,
    "workers_per_gpu": 2,
    "learner_samples_per_s": 300_000.0,
    "window_s": 600.0,
    "learner_gpus": 8,
    "gpus_per_node": 8,
    "head_positions_per_s": 6_000_000.0,
    "network_bytes_per_s": 25e9 / 8,
    "memory_bytes": 256e9,
}
"""Assumptions about a large GPU in nodes of eight with 25 Gbit/s, for a small network."""


@dataclass(frozen=True)
class Needs:
    """Requirements of a number of GPUs. MB are 1e6 bytes.

    positions_per_s: rate of the bottleneck. idle: fraction of the self-play GPUs' time that is unused at this rate.
    learners_wanted: learner GPUs that would keep up with self-play on all other GPUs.
    """

    gpus: int
    nodes: int
    selfplay_gpus: int
    learner_gpus: int
    learners_wanted: int
    positions_per_s: float
    versions_per_s: float
    network_in_mb_per_s: float
    network_out_mb_per_s: float
    replay_gb: float
    idle: float
    bottleneck: str


def needs(figures: Figures, gpus: int) -> Needs:
    """Requirements of the fastest split into self-play and learner GPUs.

    Raises UserError for fewer than two GPUs.
    """
    if gpus < 2:
        raise UserError(f"--gpus {gpus}: a cluster has at least two, one for self-play and one learner")
    splits = range(1, min(figures.learner_gpus, gpus - 1) + 1)
    learning = max(splits, key=lambda split: min(limits(figures, gpus, split).values()))  # the first of equal splits
    limit = limits(figures, gpus, learning)
    bottleneck = min(limit, key=lambda name: limit[name])
    rate = limit[bottleneck]
    nodes = math.ceil(gpus / figures.gpus_per_node)
    versions = rate / figures.positions_per_version
    return Needs(
        gpus=gpus,
        nodes=nodes,
        selfplay_gpus=gpus - learning,
        learner_gpus=learning,
        learners_wanted=_balance(figures, gpus),
        positions_per_s=rate,
        versions_per_s=versions,
        network_in_mb_per_s=rate * figures.bytes_per_position * _remote(nodes) / 1e6,
        network_out_mb_per_s=versions * figures.weight_bytes * (nodes - 1) / 1e6,
        replay_gb=max(figures.window_positions, rate * figures.window_s) * figures.bytes_per_position / 1e9,
        idle=1 - rate / min(limit["self-play: the network"], limit["self-play: tree and rules"]),
        bottleneck=bottleneck,
    )


def limits(figures: Figures, gpus: int, learning: int) -> dict[str, float]:
    """Positions per second that each part can sustain, with `learning` of the GPUs as learners.

    The worst case for the weights: the head node sends them to every other node (Ray's nodes also fetch from each
    other).
    """
    playing = gpus - learning
    nodes = math.ceil(gpus / figures.gpus_per_node)
    inwards = figures.bytes_per_position * _remote(nodes)
    outwards = figures.weight_bytes * (nodes - 1) / figures.positions_per_version
    fits = figures.window_positions * figures.bytes_per_position <= figures.memory_bytes
    held = figures.memory_bytes / (figures.window_s * figures.bytes_per_position) if figures.window_s else math.inf
    return {
        "self-play: the network": playing * figures.evaluations_per_s / figures.evaluations_per_position,
        "self-play: tree and rules": playing * figures.workers_per_gpu * figures.worker_positions_per_s,
        "learner": learning * figures.learner_samples_per_s / figures.replay_ratio,
        "receiving positions": figures.head_positions_per_s,
        "network into the head node": figures.network_bytes_per_s / inwards if inwards else math.inf,
        "broadcast of weights": figures.network_bytes_per_s / outwards if outwards else math.inf,
        "replay memory": held if fits else 0.0,
    }


def from_preset(preset: str, changes: dict[str, Any]) -> Figures:
    """Sizes and settings of an AlphaZero preset, rates from `ASSUMED`, both overridden by `changes`.

    Raises UserError for another kind of preset and for unknown or invalid figures.
    """
    from agents.alphazero.config import AlphaZeroConfig

    config = load_preset(preset)
    if not isinstance(config, AlphaZeroConfig):
        raise UserError(f"preset {preset!r} is of kind {config.kind!r}; the capacity model needs an AlphaZero preset")
    computed = {
        "evaluations_per_position": config.mean_simulations + 1,
        "replay_ratio": config.learner.replay_ratio,
        "positions_per_version": config.selfplay.boards * config.selfplay.moves_per_iteration,
        "window_positions": config.replay.capacity,
        "bytes_per_position": bytes_per_position(config),
        "weight_bytes": weight_bytes(config),
    }
    return validate(Figures, {**computed, **ASSUMED, **changes}, "the figures")


def bytes_per_position(config: AlphaZeroConfig) -> int:
    """Bytes of one row of the replay buffer: packed planes, policy, outcome, root value, version."""
    from agents.alphazero.records import row_bytes

    return row_bytes(config.game.make(), config.record_format)


def weight_bytes(config: AlphaZeroConfig) -> int:
    """Bytes of one version of the network, in float32 with its BatchNorm statistics."""
    import torch

    from agents.alphazero.agent import make_network

    with torch.device("meta"):
        net = make_network(config, config.game.make())
    return sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())


def sources(figures: Figures, given: dict[str, Any]) -> str:
    """A Markdown table of the figures and their sources."""
    rows = ["| figure | value | from |", "| --- | ---: | --- |"]
    for name, value in figures.model_dump().items():
        origin = "given" if name in given else "assumed" if name in ASSUMED else "the preset"
        rows.append(f"| {name} | {value:,.0f} | {origin} |" if value >= 100 else f"| {name} | {value:,g} | {origin} |")
    return "\n".join(rows)


def table(results: list[Needs]) -> str:
    """A Markdown table with one row per number of GPUs."""
    rows = [
        "| GPUs | self-play + learners | learners wanted | positions/s | into the head | versions/s | out of the head "
        "| replay | idle | bottleneck |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    rows += [
        f"| {one.gpus} | {one.selfplay_gpus} + {one.learner_gpus} | {one.learners_wanted} | {one.positions_per_s:,.0f} "
        f"| {one.network_in_mb_per_s:,.1f} MB/s | {one.versions_per_s:,.2f} | {one.network_out_mb_per_s:,.1f} MB/s "
        f"| {one.replay_gb:,.2f} GB | {one.idle:.0%} | {one.bottleneck} |"
        for one in results
    ]
    return "\n".join(rows)


def _balance(figures: Figures, gpus: int) -> int:
    """Learner GPUs, of `gpus`, that keep up with self-play on the others."""
    alone = limits(figures, gpus + 1, 1)  # one GPU learns, `gpus` play
    playing = min(alone["self-play: the network"], alone["self-play: tree and rules"])
    return math.ceil(gpus * playing / (playing + gpus * alone["learner"]))


def _remote(nodes: int) -> float:
    """Fraction of the positions that come from other nodes than the head node."""
    return (nodes - 1) / nodes
