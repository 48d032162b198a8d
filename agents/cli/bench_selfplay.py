"""`lab bench selfplay`: self-play against the bare network, and the learner's step against a bare loop."""

import json
import statistics
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from rich.table import Table
from torch import Tensor

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.learner import Learner
from agents.alphazero.network import InferenceNet, PolicyValueNet
from agents.alphazero.precision import inference_device, training_device
from agents.alphazero.records import Samples, blank, dense_policy
from agents.alphazero.search import make_search
from agents.alphazero.selfplay import SelfPlay
from agents.games import Game
from agents.search.dynamics import GameDynamics
from lab.cli.arguments import Json, print_json
from lab.config.loading import load_preset, validate
from lab.errors import UserError
from lab.run import bench
from lab.run.bench import Stopwatch
from lab.terminal.consoles import Console
from lab.train import device as devices
from lab.train.device import Device
from lab.train.measured_precision import PrecisionChoices

COMPARED_S = 1.5  # per round of the network, the learner and the bare loop


def bench_selfplay(
    preset: Annotated[
        str | None,
        typer.Argument(
            metavar="PRESET", help="An AlphaZero preset; options replace its settings.", show_default="64 x 5 network"
        ),
    ] = None,
    game: Annotated[
        str | None, typer.Option(help="Game to play.", show_default="connect_four, or the preset's")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="Channels of the tower.", show_default="64, or the preset's")
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Residual blocks of the tower.", show_default="5, or the preset's")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Games played at once.", show_default="256, or the preset's")
    ] = None,
    simulations: Annotated[
        int | None, typer.Option(min=1, help="Simulations per move.", show_default="32, or the preset's")
    ] = None,
    search: Annotated[str | None, typer.Option(help="gumbel or puct.", show_default="gumbel, or the preset's")] = None,
    table: Annotated[bool, typer.Option(help="Use the evaluation cache (CPU).")] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Duration of the measured self-play.")] = 20.0,
    as_json: Json = False,
) -> None:
    """Measure self-play and learning speed with an untrained network.

    Before the measurement every board plays as many fast plies as the longest game has, so that all phases occur.
    """
    given = {
        "game.name": game,
        "network.channels": channels,
        "network.blocks": blocks,
        "selfplay.boards": batch,
        "search.simulations": simulations,
        "search.algorithm": search,
        "selfplay.cache_slots": None if table else 0,
    }
    config = _config(preset, {key: value for key, value in given.items() if value is not None})
    target = devices.apply(devices.resolve(device, precision, threads))
    record = measure(config, target, seconds)
    if as_json:
        print_json(record)
    else:
        _print(record)


def _config(preset: str | None, given: dict[str, Any]) -> AlphaZeroConfig:
    """A preset's settings, or the defaults with Connect Four, with those that are given in their place."""
    if preset is None:
        settings: dict[str, Any] = {"budget": 1, "game": {"name": "connect_four"}}
        for key, value in given.items():
            section, _, name = key.partition(".")
            settings.setdefault(section, {})[name] = value
        return validate(AlphaZeroConfig, settings, "bench selfplay")
    if "game.name" in given:
        raise UserError(f"--game {given['game.name']} and preset {preset} both say what is played; give one of them")
    config = load_preset(preset, [f"{key}={json.dumps(value)}" for key, value in given.items()])
    if not isinstance(config, AlphaZeroConfig):
        raise UserError(f"{preset} is of kind {config.kind!r}, not alphazero")
    return config


def measure(config: AlphaZeroConfig, device: Device, seconds: float) -> dict[str, Any]:
    """The record of one measurement: the bare network before, between and after two halves of self-play.

    raw_evals_per_s: evaluations by the network in the form of self-play, median of the three measurements.
    plain_evals_per_s: the same with torch's modules, BatchNorm folded, channels_last.
    ratio: simulations_per_s / raw_evals_per_s, root evaluations counted. plain_ratio: the same for plain_evals_per_s.
    network_ratio: the same for leaves evaluated by the network, without ended and repeated ones.
    learner_ratio: the learner's step relative to bare forward and backward passes.
    """
    game, boards = config.game.make(), config.selfplay.boards
    torch.manual_seed(config.seed)
    net = make_network(config, game).to(device.device)
    choices = PrecisionChoices(None, device)
    playing = inference_device(choices, net, boards=boards)
    learning = training_device(choices, net, rows=config.learner.batch_size)
    each_move = config.selfplay.model_copy(update={"moves_per_iteration": 1})
    actors = LocalActors(game, config.model_copy(update={"selfplay": each_move}), net, playing)
    evaluate = InferenceNet(net, precision=playing.precision, form=playing.form)
    plain_form = InferenceNet(net, precision=playing.precision, form="plain")
    for group in actors.groups:
        _mix(group, config, device)
    observation = torch.rand(boards, *game.observation_shape, device=device.device).round()

    def network_rates() -> tuple[float, float]:
        own = bench.rate(lambda: evaluate(observation), COMPARED_S, device)
        return boards * own, boards * bench.rate(lambda: plain_form(observation), COMPARED_S, device)

    rates = [network_rates()]
    before, moves, games, spent = actors.counts(), 0, 0, 0.0
    for _ in range(2):
        played = _play(actors, net, device, seconds / 2)
        moves, games, spent = moves + played[0], games + played[1], spent + played[2]
        rates.append(network_rates())
    counts = actors.counts().since(before)
    raw, plain = (statistics.median(rate) for rate in zip(*rates, strict=True))
    learner = _compare_learner(config, net, game, learning)
    return bench.environment(playing) | {
        "game": game.name,
        "channels": config.network.channels,
        "blocks": config.network.blocks,
        "batch": boards,
        "groups": len(actors.groups),
        "simulations": config.search.simulations,
        "mean_simulations": config.mean_simulations,
        "table": actors.groups[0].dynamics.cache is not None,
        "form": evaluate.form,
        "raw_evals_per_s": raw,
        "plain_evals_per_s": plain,
        "simulations_per_s": counts.leaves / spent,
        "ratio": counts.leaves / spent / raw,
        "network_ratio": counts.evaluated / spent / raw,
        "plain_ratio": counts.leaves / spent / plain,
        "evaluated_fraction": counts.evaluated / counts.leaves,
        "ended_fraction": counts.ended / counts.leaves,
        "repeated_fraction": counts.repeated / counts.leaves,
        "moves_per_s": moves * boards / spent,
        "games_per_h": games / spent * 3600,
        "seconds_by_component": _components(actors.groups, device),
        "learner_samples_per_s": config.learner.batch_size * learner.calls_per_s,
        "learner_ratio": learner.ratio,
        "learner_precision": learning.precision,
        "peak_memory_mb": bench.peak_memory_mb(),
    }


def _mix(selfplay: SelfPlay, config: AlphaZeroConfig, device: Device) -> None:
    """Play fast plies until the boards are in different phases of the game."""
    full = selfplay.search
    selfplay.search = make_search(config.search, game=selfplay.game, device=device.device, simulations=1)
    for _ in range(selfplay.game.max_plies):
        selfplay.move(version=0)
    selfplay.search = full
    for _ in range(3 if device.device.type == "cuda" else 0):  # the CUDA graph is captured before the measurement
        selfplay.move(version=0)
    if selfplay.dynamics.cache is not None:
        selfplay.dynamics.cache.clear()


def _play(actors: LocalActors, net: PolicyValueNet, device: Device, seconds: float) -> tuple[int, int, float]:
    """Play for `seconds`; returns moves (each on all boards), finished games and seconds."""
    moves = games = 0
    start = now = time.perf_counter()
    while now - start < seconds:
        if moves % 16 == 0:  # as in training, where new weights clear the tables in every iteration
            actors.publish(0, net)
        games += sum(len(finished.game_id) for finished in actors.poll())
        moves += 1
        bench.synchronize(device)
        now = time.perf_counter()
    return moves, games, now - start


def _compare_learner(config: AlphaZeroConfig, net: PolicyValueNet, game: Game, device: Device) -> bench.Comparison:
    """The learner's step against a bare forward and backward pass of the same network."""
    size = config.learner.batch_size
    empty = blank(size, game, config.record_format)
    slots = torch.arange(empty.actions.shape[1], dtype=torch.int16).expand_as(empty.actions).contiguous()
    policy = torch.softmax(torch.randn(empty.policy.shape), -1)
    planes = torch.randint(0, 256, empty.planes.shape, dtype=torch.uint8)
    outcome = torch.randint(-1, 2, (size,), dtype=torch.int8)
    content = {"planes": planes, "policy": policy.to(torch.float16), "actions": slots, "outcome": outcome}
    samples = Samples(**empty._asdict() | content)
    learner = Learner(net, game, config.learner, device, config.seed)
    net.train()
    observation = torch.rand(size, *game.observation_shape, device=device.device)
    observation = observation.contiguous(memory_format=torch.channels_last)
    target = dense_policy(samples, game.num_actions).to(device.device)
    classes = outcome.to(device.device, torch.int64) % 3

    def bare_step() -> None:
        net.zero_grad(set_to_none=True)
        with devices.autocast(device):
            logits, result = net(observation)
        (F.cross_entropy(logits, target) + F.cross_entropy(result, classes)).backward()

    return bench.compare(lambda: learner.step(samples, 0), bare_step, COMPARED_S, device, rounds=2)


class _TimedDynamics(GameDynamics):
    """The same dynamics, with timing of a leaf's step and evaluation."""

    def __init__(self, timed: GameDynamics, device: Device) -> None:
        self.network = Stopwatch(timed.evaluate, device)
        super().__init__(timed.game, self.network, cache=timed.cache, fixed_shapes=timed.fixed_shapes)
        self.leaves = Stopwatch(super().__call__, device)
        self.network_in_leaves = 0.0

    def __call__(self, state: Any, action: Tensor, wanted: Tensor) -> Any:
        before = self.network.seconds
        leaf = self.leaves(state, action, wanted)
        self.network_in_leaves += self.network.seconds - before
        return leaf


def _components(groups: Sequence[SelfPlay], device: Device, moves: int = 3) -> dict[str, float]:
    """Seconds of a few moves of a group by component, separate from the measurement because timing costs time."""
    selfplay, threads = groups[0], torch.get_num_threads()
    if len(groups) > 1:
        torch.set_num_threads(1)  # each group plays in one thread
    plain, search = selfplay.dynamics, selfplay.search
    dynamics = _TimedDynamics(plain, device)
    timed_search = Stopwatch(search, device)
    selfplay.dynamics, selfplay.search = dynamics, timed_search
    if dynamics.cache is not None:
        dynamics.cache.clear()
    start = time.perf_counter()
    for _ in range(moves):
        selfplay.move(version=0)
    total = time.perf_counter() - start
    selfplay.dynamics, selfplay.search = plain, search
    torch.set_num_threads(threads)
    network, inside = dynamics.network.seconds, dynamics.network_in_leaves
    return {
        "network": network,
        "rules_and_table": dynamics.leaves.seconds - inside,
        "tree": timed_search.seconds - dynamics.leaves.seconds,
        "records_and_moves": total - timed_search.seconds - (network - inside),
    }


def _print(record: dict[str, Any]) -> None:
    speed = SimpleNamespace(**record)
    console = Console()
    groups = f" in {speed.groups} groups" if speed.groups > 1 else ""
    console.say(
        f"{speed.game}, {speed.channels} channels x {speed.blocks} blocks ({speed.precision} {speed.form}), "
        f"{speed.batch} games{groups}, {speed.mean_simulations:g} simulations, {speed.device}, {speed.threads} threads"
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(
        "network alone",
        f"{speed.raw_evals_per_s:,.0f} evaluations/s",
        f"{speed.plain_evals_per_s:,.0f} in torch's own operations",
    )
    table.add_row(
        "self-play", f"{speed.simulations_per_s:,.0f} simulations/s", f"{speed.ratio:.2f} of the network alone"
    )
    table.add_row("", f"{speed.moves_per_s:,.0f} moves/s", f"{speed.games_per_h:,.0f} games/h")
    table.add_row(
        "leaves",
        f"{speed.evaluated_fraction:.0%} evaluated ({speed.network_ratio:.2f} of the network alone)",
        f"{speed.ended_fraction:.0%} ended, {speed.repeated_fraction:.0%} repeated",
    )
    total = sum(speed.seconds_by_component.values())
    parts = ", ".join(f"{name} {part / total:.0%}" for name, part in speed.seconds_by_component.items())
    table.add_row("time", parts)
    table.add_row(
        "learner",
        f"{speed.learner_samples_per_s:,.0f} samples/s",
        f"{speed.learner_ratio:.2f} of a bare loop, {speed.learner_precision}",
    )
    if speed.peak_memory_mb is not None:
        table.add_row("peak memory", f"{speed.peak_memory_mb:,.0f} MB")
    console.print(table)
