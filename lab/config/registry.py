"""The registry of experiment kinds and command-line verbs: the one place where `lab` names the packages above it.

Targets are "module:name" strings that are imported on use, so importing `lab` imports none of those packages. Only
the command line and the composition root (`lab.run.launch`) look targets up. Another distribution adds a kind or verb
through an entry point of group `rivals.kinds` or `rivals.verbs`: the name of the kind or verb, and a `Kind` or `Verb`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError

ENTRY_POINTS = "rivals.kinds"
VERB_ENTRY_POINTS = "rivals.verbs"
PACKAGES = ("lab", "agents", "gans", "cluster")
"""The packages, whose loggers have these names."""
CLUSTER_DOCTOR = "cluster.cli.doctor:doctor"
LEARNERS = "cluster.learners.train:train"
EVALUATOR = "cluster.workers.evaluation:start"
"""A context manager `(config, directory, device, target)` of a `lab.run.evaluator.Evaluator` on the cluster."""
CONNECT = "cluster.pool.connection:connect"
"""A context manager `(cluster, device)` that starts or joins the cluster of a run."""
RAY_METRICS = "cluster.ray_metrics:RayMetricsSink"
"""A context manager `(catalogue, run)` of a sink that publishes metrics in Ray."""


@dataclass(frozen=True)
class Kind:
    """A kind of experiment, as "module:name" targets.

    The configuration class states what the kind supports: workers, an evaluator beside training, several learners.
    """

    config: str
    """The configuration class, a subclass of `lab.config.sections.ExperimentConfig`."""

    build: str
    """A function `(config, directory, device) -> lab.run.experiment.Experiment`.

    If the kind has `actors` and `cluster.workers` is set, it also takes the keyword argument `actors`.
    """

    verbs: Mapping[str, str] = field(default_factory=dict)
    """Verbs that depend on the kind (`eval`, `play`): Typer commands with the arguments `run` and `runs_dir`."""

    catalogue: str = ""
    """The `lab.run.metrics.Catalogue` of the kind's metrics; "" if it has only the metrics of the run loop."""

    verbs_of: str = ""
    """A function `(config) -> names` of the verbs that such a run has; "" for all of `verbs`."""

    actors: str = ""
    """A context manager `(config, device)` of actors on the cluster, given to `build` as `actors`."""

    evaluator: str = ""
    """A function `(config, directory, device) -> lab.run.evaluator.EvaluateState`: evaluation beside training."""

    follower: str = ""
    """A function `(config, directory, device) -> lab.run.experiment.Follower` for data-parallel ranks other than 0.

    Without it these ranks build the whole experiment.
    """

    ablation: str = ""
    """A `lab.config.ablation.Ablation`: the switches that `lab ablate` knows; "" for none."""

    functions: Mapping[str, str] = field(default_factory=dict)
    """Methods of `lab.api.Run` for this kind: functions `(run, device, ...)` named `sample`, `predict` or `agent`."""


@dataclass(frozen=True)
class Verb:
    """A command of `lab`. `target` is "module:name" of a Typer command function.

    Without a target it is a group with its own `verbs`, or the kind of the given run supplies the target.
    """

    help: str
    target: str = ""
    verbs: Mapping[str, Verb] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "alphazero": Kind(
        config="agents.alphazero.config:AlphaZeroConfig",
        build="agents.alphazero.experiment:build",
        verbs={
            "eval": "agents.cli.eval:evaluate",
            "predict": "agents.cli.predict:predict",
            "play": "agents.cli.play:play",
            "watch": "agents.cli.watch:watch",
            "analyse": "agents.cli.analyse:analyse",
            "replay": "agents.cli.replay:replay",
            "engine": "agents.cli.engine:engine",
            "export": "agents.cli.export:export",
        },
        catalogue="agents.alphazero.metrics:CATALOGUE",
        actors="cluster.workers.actors:start",
        evaluator="agents.alphazero.evaluation:state_evaluator",
        follower="agents.alphazero.learner_rank:build_follower",
        ablation="agents.alphazero.ablation:ABLATION",
        functions={"agent": "agents.alphazero.agent:load_agent", "predict": "agents.alphazero.agent:predict"},
    ),
    "grading": Kind(
        config="lab.grading.config:GradingConfig",
        build="lab.grading.experiment:build",
        verbs={"eval": "lab.cli.grading:evaluate", "predict": "lab.cli.grading:predict"},
        catalogue="lab.grading.metrics:CATALOGUE",
        functions={"predict": "lab.grading.api:predict"},
    ),
    "ppo": Kind(
        config="agents.ppo.config:PPOConfig",
        build="agents.ppo.experiment:build",
        verbs={
            "eval": "agents.cli.ppo:evaluate",
            "predict": "agents.cli.ppo:predict",
            "watch": "agents.cli.ppo:watch",
            "export": "agents.cli.ppo:export",
        },
        catalogue="agents.ppo.metrics:CATALOGUE",
        actors="cluster.workers.rollouts:start",
        follower="agents.ppo.learner_rank:build_follower",
        functions={"predict": "agents.ppo.prediction:predict"},
    ),
    "progressive_gan": Kind(
        config="gans.progressive.config:ProgressiveGANConfig",
        build="gans.progressive.experiment:build",
        verbs={
            "eval": "gans.progressive.verbs:evaluate",
            "sample": "gans.progressive.verbs:sample",
            "export": "gans.progressive.verbs:export",
        },
        catalogue="gans.progressive.metrics:CATALOGUE",
        evaluator="gans.progressive.evaluation:state_evaluator",
        functions={"sample": "gans.progressive.api:sample"},
    ),
    "series_gan": Kind(
        config="gans.series.config:SeriesGANConfig",
        build="gans.series.experiment:build",
        verbs={
            "eval": "gans.series.verbs:evaluate",
            "sample": "gans.series.verbs:sample",
            "export": "gans.series.verbs:export",
        },
        catalogue="gans.series.metrics:CATALOGUE",
        functions={"sample": "gans.series.api:sample"},
    ),
    "vocoder": Kind(
        config="gans.vocoder.config:VocoderConfig",
        build="gans.vocoder.experiment:build",
        verbs={"eval": "gans.vocoder.verbs:evaluate", "predict": "gans.vocoder.verbs:predict"},
        catalogue="gans.vocoder.metrics:CATALOGUE",
        functions={"vocoder": "gans.vocoder.api:vocoder"},
    ),
    "sequences": Kind(
        config="lab.sequences.config:SequencesConfig",
        build="lab.sequences.experiment:build",
        verbs={
            "eval": "lab.cli.sequences:evaluate",
            "predict": "lab.cli.sequences:predict",
            "sample": "lab.cli.sequences:sample",
            "export": "lab.cli.sequences:export",
        },
        catalogue="lab.sequences.metrics:CATALOGUE",
        verbs_of="lab.sequences.config:verbs_of",
        functions={"sample": "lab.sequences.api:sample", "predict": "lab.sequences.api:predict"},
    ),
    "speech": Kind(
        config="lab.speech.config:SpeechConfig",
        build="lab.speech.experiment:build",
        verbs={"eval": "lab.cli.speech:evaluate", "say": "lab.cli.speech:say"},
        catalogue="lab.speech.metrics:CATALOGUE",
        functions={"predict": "lab.speech.api:predict"},
    ),
    "supervised": Kind(
        config="lab.supervised.config:SupervisedConfig",
        build="lab.supervised.experiment:build",
        verbs={
            "eval": "lab.cli.supervised:evaluate",
            "predict": "lab.cli.supervised:predict",
            "export": "lab.cli.supervised:export",
        },
        catalogue="lab.supervised.metrics:CATALOGUE",
        functions={"predict": "lab.supervised.api:predict"},
    ),
}

VERBS: dict[str, Verb] = {
    "list": Verb("List the presets.", "lab.cli.list:list_presets"),
    "config": Verb("Print a preset's configuration, or explain one key.", "lab.cli.config:config"),
    "train": Verb("Train a preset from scratch.", "lab.cli.train:train"),
    "resume": Verb("Continue a stopped run exactly.", "lab.cli.resume:resume"),
    "eval": Verb("Evaluate a run."),
    "predict": Verb("Predict with a run's network."),
    "say": Verb("Speak a text with a voice."),
    "play": Verb("Play against a run."),
    "watch": Verb("Watch a run's policy in its environment, or an agent play itself."),
    "analyse": Verb("Review a recorded game with a run's agent: the loss of every move."),
    "replay": Verb("Show a run's self-play game move by move, with its searches."),
    "engine": Verb("Speak GTP or UCI, so that other programs can play with a run."),
    "arena": Verb("Let runs, opponents and engines play each other: Elo and intervals.", "agents.cli.arena:arena"),
    "sample": Verb("Sample from a run: images or time series of a generator, text of a language model."),
    "export": Verb("Export a run's network to ONNX or torch.export."),
    "data": Verb(
        "Pack, inspect and fetch image sets; make recordings for a voice.",
        verbs={
            "pack": Verb("Pack a folder, a zip or arrays into one file.", "lab.cli.data:pack"),
            "inspect": Verb("Show what a packed file holds.", "lab.cli.data:inspect"),
            "fetch": Verb("Download a public image set and pack it.", "lab.cli.data:fetch"),
            "augment": Verb("Show a preset's data augmentation on images.", "lab.cli.augment:augment_sheet"),
            "spectrograms": Verb("Draw recordings as spectrogram images.", "lab.cli.spectrograms:spectrograms"),
            "sound": Verb("Make WAV files of spectrogram images.", "lab.cli.sound:sound"),
            "speak": Verb("Make recordings for a voice: a synthesizer speaks texts.", "lab.cli.speak:speak"),
            "align": Verb("Find the times of phones in one's own recordings.", "lab.cli.speak:align"),
        },
    ),
    "find-lr": Verb("Suggest a learning rate for a preset.", "lab.cli.find_lr:find_lr"),
    "approximate": Verb(
        "Approximate a function with one hidden layer at several widths.", "lab.cli.approximate:approximate"
    ),
    "milestones": Verb(
        "Run a milestone of neural networks: theory beside measurement.", "lab.cli.milestones:milestones"
    ),
    "new": Verb(
        "Write the files of a new game or preset.",
        verbs={
            "game": Verb("Write a package with a game, its preset and its test.", "lab.cli.new:new_game"),
            "preset": Verb("Write a preset file over another.", "lab.cli.new:new_preset"),
        },
    ),
    "runs": Verb("List the runs: kind, preset, progress, best value, age.", "lab.cli.runs:runs"),
    "show": Verb("Show a run's metrics and curves in the terminal.", "lab.cli.show:show"),
    "compare": Verb("Compare runs: their curves and the settings that differ.", "lab.cli.compare:compare"),
    "dashboard": Verb("Make a W&B workspace with every metric of a kind.", "lab.cli.dashboard:dashboard"),
    "bench": Verb(
        "Measure speed on this machine.",
        verbs={
            "selfplay": Verb(
                "Speed of self-play and of its network alone.", "agents.cli.bench_selfplay:bench_selfplay"
            ),
            "games": Verb(
                "Speed of the rules of games, and the memory of their positions.", "agents.cli.bench_games:bench_games"
            ),
            "ppo": Verb(
                "Speed of PPO: environment, policy, learner, and the environment alone.",
                "agents.cli.bench_ppo:bench_ppo",
            ),
            "gan": Verb(
                "Training speed of a progressive GAN and of its convolutions alone.",
                "gans.progressive.bench:bench_gan",
            ),
            "supervised": Verb("Training speed of a supervised preset.", "lab.cli.bench_supervised:bench_supervised"),
            "record": Verb(
                "Record the seconds until runs reached the target of their preset.", "lab.cli.bench_record:bench_record"
            ),
            "cluster": Verb(
                "Speed of self-play workers on Ray and of plain processes.", "cluster.cli.bench:bench_cluster"
            ),
            "rollouts": Verb(
                "Speed of PPO's rollout workers on Ray and of plain processes.",
                "cluster.cli.bench_rollouts:bench_rollouts",
            ),
        },
    ),
    "sweep": Verb("Search hyperparameters of a preset on Ray; print the best.", "cluster.cli.sweep:sweep"),
    "ablate": Verb("Switch one idea at a time on or off, and compare at equal cost.", "cluster.cli.ablate:ablate"),
    "submit": Verb("Train a preset on a Ray cluster; list, follow and stop such jobs.", "cluster.cli.submit:submit"),
    "capacity": Verb(
        "Compute the needs of 8, 64 or 512 GPUs and the bottleneck.",
        "cluster.cli.capacity:capacity",
    ),
    "drill": Verb("Inject faults into runs and check that they recover.", "cluster.cli.drill:drill"),
    "completion": Verb("Print the script that completes `lab` in bash, zsh or fish.", "lab.cli.completion:completion"),
    "doctor": Verb("Check versions, devices, tracking, disk and presets.", "lab.cli.doctor:doctor"),
}


def register_kind(name: str, kind: Kind) -> None:
    """Add a kind in this process. Raises ValueError when the name is taken."""
    if name in KINDS:
        raise ValueError(f"experiment kind {name!r} is registered already")
    KINDS[name] = kind


def find_kind(name: str) -> Kind:
    """The kind of that name, from `KINDS` or an entry point. Raises UserError naming the nearest."""
    if name in KINDS:
        return KINDS[name]
    installed = metadata.entry_points(group=ENTRY_POINTS)
    if name in installed.names:
        kind: Kind = _from_entry_point(installed[name], Kind)
        return kind
    raise UserError(f"unknown kind {shortened(name)}; {did_you_mean(name, [*KINDS, *installed.names])}")


def kind_names() -> list[str]:
    """Every known kind, sorted."""
    return sorted({*KINDS, *metadata.entry_points(group=ENTRY_POINTS).names})


def installed_verbs() -> dict[str, Verb]:
    """Verbs that other distributions add; names of the lab's own verbs are left out."""
    found = metadata.entry_points(group=VERB_ENTRY_POINTS)
    return {point.name: _from_entry_point(point, Verb) for point in found if point.name not in VERBS}


def _from_entry_point(point: metadata.EntryPoint, wanted: type) -> Any:
    value = point.load()
    if not isinstance(value, wanted):
        kind = type(value).__name__
        raise TypeError(f"entry point {point.name!r} of {point.group} is {kind}, not a {wanted.__name__}")
    return value


def load(target: str) -> Any:
    """Import "module:name" and return the object."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
