"""What AlphaZero on many GPUs needs of network, replay memory and learner, and what holds it up first.

A model of rates in balance, not a simulation: self-play on some of the GPUs, learning on the others, replay and weights
on the head. `lab capacity PRESET --gpus 64 evaluations_per_s=...` recomputes it; CAPACITY.md shows it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from lab.cli.arguments import Json, Overrides, print_json
from lab.config.loading import load_preset, validate
from lab.config.sections import Config
from lab.errors import UserError

if TYPE_CHECKING:
    from agents.alphazero.config import AlphaZeroConfig

GPUS = (8, 64, 512)


class Figures(Config):
    """What has to be measured. Rates are per second; `lab bench selfplay` on the GPU in question gives the first four.

    evaluations_per_s: positions through the bare network on one GPU (raw_evals_per_s).
    worker_positions_per_s: of one self-play worker, tree and rules included (moves_per_s). workers_per_gpu: that share
    one. learner_samples_per_s: of one learning GPU.
    evaluations_per_position: through the network for one move; the simulations and one more, less what the table knows.
    reuse: how often a position is learnt from. positions_per_version: made between two publications of weights.
    window_positions: that replay holds at least; window_s: and for how long at least, however fast they come.
    bytes_per_position, weight_bytes: on the way to the head, and of one version of the weights.
    learner_gpus: the most that can learn together. gpus_per_node: a node fetches each version once.
    head_positions_per_s: that the learner's process takes in. network_bytes_per_s: of the head's interface, each way.
    memory_bytes: of the head, for replay.
    """

    evaluations_per_s: PositiveFloat
    worker_positions_per_s: PositiveFloat
    workers_per_gpu: PositiveInt = 1
    learner_samples_per_s: PositiveFloat
    evaluations_per_position: PositiveFloat
    reuse: PositiveFloat
    positions_per_version: PositiveFloat
    window_positions: PositiveInt
    window_s: NonNegativeFloat
    bytes_per_position: PositiveFloat
    weight_bytes: PositiveFloat
    learner_gpus: PositiveInt
    gpus_per_node: PositiveInt
    head_positions_per_s: PositiveFloat
    network_bytes_per_s: PositiveFloat
    memory_bytes: PositiveFloat


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
"""Until they are measured: a large GPU in nodes of eight, 25 Gbit/s, and Connect Four's 64 x 5 network."""


@dataclass(frozen=True)
class Needs:
    """What so many GPUs need when nothing waits longer than it must. MB are 1e6 bytes, per second where it says so.

    positions_per_s: what `bottleneck` lets through. idle: share of the self-play GPUs' time that it leaves unused.
    learners_wanted: GPUs that would have to learn for learning to keep up with self-play on all others.
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
    """The division of `gpus` between self-play and learning that makes most positions, and its needs.

    Raises UserError for fewer than two GPUs: one that does both in turns needs no cluster.
    """
    if gpus < 2:
        raise UserError(f"--gpus {gpus}: a cluster has at least two, one that plays and one that learns")
    splits = range(1, min(figures.learner_gpus, gpus - 1) + 1)
    learning = max(splits, key=lambda split: min(limits(figures, gpus, split).values()))  # the first of equal ones
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
    """Positions per second that each part could sustain if all others were free, with `learning` of the GPUs learning.

    The head sends each version to every other node itself: Ray's nodes also fetch from each other, so this is the
    worst case.
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
        "learner": learning * figures.learner_samples_per_s / figures.reuse,
        "taking positions in": figures.head_positions_per_s,
        "network into the head": figures.network_bytes_per_s / inwards if inwards else math.inf,
        "broadcast of weights": figures.network_bytes_per_s / outwards if outwards else math.inf,
        "replay memory": held if fits else 0.0,
    }


def from_preset(preset: str, changes: dict[str, Any]) -> Figures:
    """Sizes and settings computed from an AlphaZero preset, rates from `ASSUMED`, `changes` over both.

    Raises UserError for another kind of preset and for unknown or impossible figures.
    """
    from agents.alphazero.config import AlphaZeroConfig

    config = load_preset(preset)
    if not isinstance(config, AlphaZeroConfig):
        raise UserError(f"preset {preset!r} is of kind {config.kind!r}; the model is of AlphaZero's self-play")
    computed = {
        "evaluations_per_position": config.search.simulations + 1,
        "reuse": config.learner.replay_ratio,
        "positions_per_version": config.selfplay.boards * config.selfplay.moves_per_iteration,
        "window_positions": config.replay.capacity,
        "bytes_per_position": bytes_per_position(config),
        "weight_bytes": weight_bytes(config),
    }
    return validate(Figures, {**computed, **ASSUMED, **changes}, "the figures")


def bytes_per_position(config: AlphaZeroConfig) -> int:
    """Of one row of replay: packed planes, policy, outcome, root value, version."""
    from agents.alphazero.records import packed_size

    game = config.game.make()
    channels, height, width = game.observation_shape
    return packed_size(channels * height * width) + 2 * game.num_actions + 1 + 2 + 4


def weight_bytes(config: AlphaZeroConfig) -> int:
    """Of one version of the network, in float32 with its BatchNorm statistics."""
    import torch

    from agents.alphazero.agent import make_network

    with torch.device("meta"):
        net = make_network(config, config.game.make())
    return sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())


def capacity(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="An AlphaZero preset.")] = "alphazero/connect_four",
    figures: Overrides = None,
    gpus: Annotated[list[int] | None, typer.Option(help="GPUs in all; repeatable.", show_default="8, 64, 512")] = None,
    as_json: Json = False,
) -> None:
    """Compute what a number of GPUs needs in network, replay memory and learner, and name the bottleneck.

    Figures as in evaluations_per_s=400000; what is not given is computed from the preset or assumed.
    """
    from lab.config.presets import parse_overrides

    if "=" in preset:
        preset, figures = "alphazero/connect_four", [preset, *(figures or [])]
    changes = parse_overrides(figures or [])
    known = from_preset(preset, changes)
    results = [needs(known, count) for count in gpus or GPUS]
    if as_json:
        print_json({"figures": known.model_dump(), "needs": [asdict(result) for result in results]})
        return
    print(sources(known, changes))
    print()
    print(table(results))


def sources(figures: Figures, given: dict[str, Any]) -> str:
    """A Markdown table of the figures and where each comes from."""
    rows = ["| figure | value | from |", "| --- | ---: | --- |"]
    for name, value in figures.model_dump().items():
        origin = "given" if name in given else "assumed" if name in ASSUMED else "the preset"
        rows.append(f"| {name} | {value:,.0f} | {origin} |" if value >= 100 else f"| {name} | {value:,g} | {origin} |")
    return "\n".join(rows)


def table(results: list[Needs]) -> str:
    """A Markdown table, a row for each number of GPUs."""
    rows = [
        "| GPUs | playing + learning | learners wanted | positions/s | into the head | versions/s | out of the head "
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
    """GPUs, of `gpus`, whose learning keeps up with self-play on the rest."""
    alone = limits(figures, gpus + 1, 1)  # one GPU learns, `gpus` play
    playing = min(alone["self-play: the network"], alone["self-play: tree and rules"])
    return math.ceil(gpus * playing / (playing + gpus * alone["learner"]))


def _remote(nodes: int) -> float:
    """Fraction of the positions that come from other nodes than the head."""
    return (nodes - 1) / nodes
