"""Population based training: who is copied by whom, what a copy is, and that the kinds go by what may be perturbed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.experiment import build as build_alphazero
from cluster.drills import processes
from cluster.pool.connection import Connection
from cluster.pool.placement import Resources
from cluster.sweeps import copy_run
from cluster.sweeps.population_based_training import PopulationBasedTraining, select, stop_trainers
from cluster.sweeps.search_space import Dimension
from cluster.sweeps.trial import MetricsReader, Trial, trial_result
from gans.progressive.config import ProgressiveGANConfig
from gans.progressive.experiment import ProgressiveGAN
from gans.series.config import SeriesGANConfig
from gans.series.experiment import SeriesGAN
from gans.vocoder.config import VocoderConfig
from gans.vocoder.experiment import VocoderExperiment
from lab.cli.main import main
from lab.config.loading import from_settings, load_run_config
from lab.config.presets import merge, parse_overrides
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from lab.run import checkpoint
from lab.run.experiment import Experiment
from lab.run.interrupt import Interrupt
from lab.run.metrics import LOOP_METRICS, Entry, read
from lab.run.origin import origin_of
from lab.run.run_dir import RunDir
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.train.device import Device
from tests import forging
from tests.agents.small_alphazero import config as alphazero
from tests.command_line import ROOT
from tests.gans.small_gan import config as gan
from tests.gans.small_series import config as series_gan
from tests.gans.small_vocoder import config as vocoder
from tests.lab.small_classifier import config as classifier
from tests.same_run import assert_same_bits, final_state

_DEVICE = Device(torch.device("cpu"), "fp32", 1)
_PATIENCE_S = 240


class Deaf:
    """A trainer that never ends, as on a node that does not answer."""

    def train(self) -> int:
        time.sleep(600)
        return 0

    def stop(self) -> None:
        pass


@pytest.mark.slow
def test_a_trainer_that_does_not_stop_is_killed_after_a_while(ray_here: Connection) -> None:
    import ray

    actor = ray.remote(num_cpus=0, max_concurrency=2)(Deaf).remote()
    reference = actor.train.remote()
    ray.get(actor.stop.remote(), timeout=60)
    assert stop_trainers({reference: actor}, timeout_s=2.0) == 1
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(reference, timeout=30)


def test_a_trainer_that_takes_no_call_is_counted_among_those_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = list[str]()

    class Ray:
        """A cluster in which everything has happened but the call of the trainer `lost`."""

        kill = staticmethod(killed.append)

        @staticmethod
        def wait(references: list[str], *, num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
            done = [reference for reference in references if reference != "stop lost"]
            return done, [reference for reference in references if reference not in done]

    class Actor(str):
        @property
        def stop(self) -> SimpleNamespace:
            return SimpleNamespace(remote=lambda: f"stop {self}")

    monkeypatch.setattr("cluster.sweeps.population_based_training.import_ray", lambda: Ray)
    assert stop_trainers({"train good": Actor("good"), "train lost": Actor("lost")}) == 1
    assert killed == ["good", "lost"]


def test_the_worst_fifth_become_copies_of_the_best_fifth() -> None:
    values = {f"{number:02d}": float(number) for number in range(10)}
    chosen = [select(values, "max", random.Random(seed)) for seed in range(50)]
    assert {name for one in chosen for name in one} == {"00", "01"}
    assert {better for one in chosen for better in one.values()} == {"08", "09"}
    assert select(values, "min", random.Random(0)).keys() == {"08", "09"}


def test_those_without_a_value_become_copies_too_and_equals_do_not() -> None:
    assert select({"a": None, "b": 2.0, "c": None, "d": 3.0}, "max", random.Random(0)) == {"a": "d", "b": "d", "c": "d"}
    assert select({"a": 1.0, "b": 1.0, "c": 1.0}, "max", random.Random(0)) == {}


def trained(folder: Path, name: str, rate: float, wandb_id: str) -> Path:
    """A trial of 2 iterations that has a run in W&B."""
    config = classifier(budget=1000, training={"learning_rate": rate}, evaluate={"every": 1, "best": "eval/accuracy"})
    copy_run.create_run(folder, name, config, {"training.learning_rate": rate})
    run = folder / name
    assert main(["resume", str(run)]) == 0
    for path in (run / "checkpoints").iterdir():
        state, manifest = checkpoint.load(path)
        state["loop"]["wandb_id"] = wandb_id
        meta = manifest.meta | {"wandb_id": wandb_id}
        checkpoint.save(
            path.parent,
            state,
            iteration=manifest.iteration,
            counters=manifest.counters,
            extra_meta=meta,
            name=path.name,
            origin=origin_of(run),
        )
    (run / "wandb" / name).touch()
    return run


@pytest.mark.slow
def test_a_copy_goes_on_as_what_it_was_copied_from_under_its_own_name(tmp_path: Path) -> None:
    good, bad = trained(tmp_path, "001", 2e-3, "good"), trained(tmp_path, "002", 1e-7, "bad")
    (bad / "debug").mkdir()
    config = from_settings(classifier(budget=1000, training={"learning_rate": 2e-3}).model_dump(mode="json"), "here")
    copy_run.replace_run(bad, good, config, {"training.learning_rate": 2e-3})
    (copy, at), (original, there) = final_state(bad), final_state(good)
    assert (copy["loop"].pop("wandb_id"), original["loop"].pop("wandb_id")) == ("bad", "good")
    assert at == there
    assert_same_bits(copy, original)
    assert read(bad / "metrics.jsonl") == read(good / "metrics.jsonl")
    assert [path.name for path in (bad / "wandb").iterdir()] == ["002"]
    assert not (bad / "debug").exists()
    assert copy_run.read_segments(bad) == [
        copy_run.Segment("001", 0, {"training.learning_rate": 2e-3}),
        copy_run.Segment("002", 2, {"training.learning_rate": 2e-3}, "001"),
    ]
    for run in (good, bad):
        assert main(["resume", str(run), "budget=2000"]) == 0
    assert_same_bits(final_state(bad)[0]["experiment"], final_state(good)[0]["experiment"])
    seen = [entry.iteration for entry in read(bad / "metrics.jsonl") if "loss/classification" in entry.metrics]
    assert seen == [1, 2, 3, 4]
    assert {path.name for path in tmp_path.iterdir()} == {"001", "002"}


@pytest.mark.slow
def test_a_damaged_best_is_not_copied_and_keeps_nobody_from_a_copy(tmp_path: Path) -> None:
    good, bad = trained(tmp_path, "001", 2e-3, "good"), trained(tmp_path, "002", 1e-7, "bad")
    (good / "checkpoints" / checkpoint.BEST / "state.json").unlink()
    copy_run.replace_run(bad, good, load_run_config(good / "config.yaml"), {})
    assert {path.name for path in (bad / "checkpoints").iterdir()} == {"000002"}
    assert final_state(bad)[1] == final_state(good)[1]


@pytest.mark.slow
def test_a_forged_state_is_not_copied_and_a_damaged_history_is_one_line(tmp_path: Path) -> None:
    good, bad = trained(tmp_path, "001", 2e-3, "good"), trained(tmp_path, "002", 1e-7, "bad")
    before = final_state(bad)
    settings = load_run_config(good / "config.yaml")
    others = (
        "[[[",
        "{}",
        "null",
        "[5]",
        '[{"trial": "a"}]',
        '[{"trial": 1, "iteration": 0, "settings": {}}]',
        "[" * 9999,
    )
    for text in others:
        (good / copy_run.HISTORY).write_text(text)
        with pytest.raises(UserError, match=r"pbt_history\.json is damaged"):
            copy_run.read_segments(good)
    (good / copy_run.HISTORY).unlink()
    for path in checkpoint.numbered(good / "checkpoints"):
        forging.edit_state(path, lambda tree: {**tree, "loop": {"iteration": -1}})
    with pytest.raises(UserError, match="none of its checkpoints is valid"):
        copy_run.replace_run(bad, good, settings, {})
    assert_same_bits(final_state(bad), before)
    checkpoint.verify(bad / "checkpoints" / "000002", origin_of(bad))


class _Killed(BaseException):
    pass


@pytest.mark.slow
def test_a_copy_cut_short_anywhere_leaves_a_whole_run_with_its_own_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = trained(tmp_path, "001", 2e-3, "good"), trained(tmp_path, "002", 1e-7, "bad")
    config, rename, tidy = load_run_config(good / "config.yaml"), Path.rename, copy_run.recover
    before, whole = tmp_path / "before", {tmp_path / "before", good, bad}
    shutil.copytree(bad, before)
    found = []
    for reached in count():
        left = iter(range(reached))

        def rename_until_killed(path: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise _Killed
            return rename(path, target)

        with monkeypatch.context() as killing:
            killing.setattr(Path, "rename", rename_until_killed)
            killing.setattr(copy_run, "recover", lambda _: None)
            with suppress(_Killed):
                copy_run.replace_run(bad, good, config, {})
                break
        tidy(bad)
        assert set(tmp_path.iterdir()) == whole
        assert [path.name for path in (bad / "wandb").iterdir()] == ["002"]
        assert final_state(bad)[0]["loop"]["wandb_id"] == "bad"
        found.append(len(copy_run.read_segments(bad)))
        shutil.rmtree(bad)
        shutil.copytree(before, bad)
    assert found == sorted(found) and set(found) == {1, 2}, "of these renames none is the one that replaces the run"


@pytest.mark.slow
def test_a_trial_that_cannot_be_replaced_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = [Trial(f"{rate:g}", {"training.learning_rate": rate}) for rate in (1e-7, 2e-3)]
    worse, better = (trial.name for trial in plan)
    held: list[RunDir] = []

    def train(self: PopulationBasedTraining, names: list[str], budget: int, *_: Any) -> set[str]:
        for run in held:
            run.close()
        failed = {name for name in names if main(["resume", str(tmp_path / name), f"budget={budget}"])}
        held.append(RunDir.open(tmp_path / worse))
        held[-1].lock()
        return failed

    monkeypatch.setattr(PopulationBasedTraining, "_train", train)
    monkeypatch.setattr("cluster.sweeps.trial.STOP_TIMEOUT_S", 0.0)
    configs = {
        trial.name: classifier(
            training={"learning_rate": trial.settings["training.learning_rate"]},
            evaluate={"every": 1, "best": "eval/accuracy"},
        )
        for trial in plan
    }
    pbt = PopulationBasedTraining(
        folder=tmp_path,
        space=[Dimension("training.learning_rate", "loguniform", (1e-8, 1e-2))],
        catalogue=LOOP_METRICS,
        metric="eval/accuracy",
        mode="max",
        intervals=2,
        seed=0,
        max_concurrent=2,
        resources=Resources(1.0, 0.0, 1),
    )
    failed, history = pbt.run(configs, plan, Interrupt())
    assert failed == set()
    held[-1].close()
    assert [interval["copies"] for interval in history] == [{}, {}]
    told = f"trial {worse} is unchanged, it could not be replaced by {better}: run '{worse}' is being trained"
    assert told in capsys.readouterr().out
    assert copy_run.read_segments(tmp_path / worse) == [copy_run.Segment(worse, 0, plan[0].settings)]
    assert final_state(tmp_path / worse)[1] == {"iteration": 4}


def test_a_trial_is_complete_at_the_budget_of_the_sweep_and_not_started_before_its_process(tmp_path: Path) -> None:
    def state(name: str, budget: int) -> str:
        result = trial_result(
            tmp_path, Trial(name, {}), budget=budget, metric="eval/accuracy", mode="max", failed=False
        )
        return result.state

    trained(tmp_path, "001", 2e-3, "")
    assert (state("001", 1000), state("001", 2000)) == ("complete", "stopped")
    copy_run.create_run(tmp_path, "002", classifier(), {})
    assert state("002", 2000) == "not started"
    (tmp_path / "002.log").touch()
    assert state("002", 2000) == "failed"


def test_reading_a_long_record_takes_little_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, entries = 0.0, list[Entry]()

    def slowly(path: Path) -> list[Entry]:
        nonlocal now
        now += 1.0
        return list(entries)

    monkeypatch.setattr("cluster.sweeps.trial.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("cluster.sweeps.trial.read", slowly)
    reader, waited = MetricsReader(tmp_path / "metrics.jsonl"), 0.0
    for _ in range(1000):
        reader.poll(ended=False)
        now, waited = now + 0.5, waited + 0.5
    assert 0 < now - waited <= 0.03 * now
    entries.append(Entry(1))
    assert reader.poll(ended=True) == entries


def _alphazero(config: ExperimentConfig, folder: Path) -> Experiment:
    assert isinstance(config, AlphaZeroConfig)
    return build_alphazero(config, folder, _DEVICE)


def _gan(config: ExperimentConfig, folder: Path) -> Experiment:
    assert isinstance(config, ProgressiveGANConfig)
    return ProgressiveGAN(config, folder, _DEVICE)


def _series_gan(config: ExperimentConfig, folder: Path) -> Experiment:
    assert isinstance(config, SeriesGANConfig)
    return SeriesGAN(config, folder, _DEVICE)


def _vocoder(config: ExperimentConfig, folder: Path) -> Experiment:
    assert isinstance(config, VocoderConfig)
    return VocoderExperiment(config, folder, _DEVICE)


def _classifier(config: ExperimentConfig, folder: Path) -> Experiment:
    assert isinstance(config, SupervisedConfig)
    return Supervised(config, folder, _DEVICE)


_BUILDERS: dict[type[ExperimentConfig], Callable[[ExperimentConfig, Path], Experiment]] = {
    AlphaZeroConfig: _alphazero,
    ProgressiveGANConfig: _gan,
    SeriesGANConfig: _series_gan,
    SupervisedConfig: _classifier,
    VocoderConfig: _vocoder,
}
# What has to hold for a setting to matter, and a value unlike the default.
_PUCT: dict[str, Any] = {"search": {"algorithm": "puct", "simulations": 8}}
_ADA: dict[str, Any] = {"augment": {"mode": "ada", "initial": 0.5}}
_CHANGES: dict[type[ExperimentConfig], dict[str, tuple[dict[str, Any], Any]]] = {
    SupervisedConfig: {
        "training.learning_rate": ({}, 1e-3),
        "training.batch_size": ({}, 100),
        "augment.crop": ({}, 0),
    },
    ProgressiveGANConfig: {
        "training.learning_rate": ({}, 1e-4),
        "training.discriminator_learning_rate": ({}, 1e-4),
        "training.discriminator_steps": ({}, 2),
        "training.ema_decay": ({}, 0.5),
        "augment.target": (_ADA, -1.0),
        "augment.speed_images": (_ADA, 100),
        "loss.penalty_weight": ({}, 1.0),
        "loss.gradient_target": ({}, 5.0),
        "loss.drift": ({}, 1.0),
        "loss.gamma": ({"loss": {"name": "relativistic"}}, 9.0),
    },
    SeriesGANConfig: {
        "training.learning_rate": ({}, 1e-4),
        "training.discriminator_learning_rate": ({}, 1e-4),
        "training.ema_decay": ({}, 0.5),
        "training.discriminator_steps": ({}, 2),
        "loss.penalty_weight": ({}, 1.0),
        "loss.gradient_target": ({}, 5.0),
        "loss.drift": ({}, 1.0),
        "loss.gamma": ({"loss": {"name": "relativistic"}}, 9.0),
    },
    VocoderConfig: {
        "training.learning_rate": ({}, 1e-4),
        "training.discriminator_learning_rate": ({}, 1e-4),
        "training.ema_decay": ({}, 0.5),
        "training.discriminator_steps": ({}, 2),
        "loss.penalty_weight": ({"loss": {"name": "wgan-gp"}}, 1.0),
        "loss.gradient_target": ({"loss": {"name": "wgan-gp"}}, 5.0),
        "loss.drift": ({"loss": {"name": "wgan-gp"}}, 1.0),
        "loss.gamma": ({}, 9.0),
        "loss.spectral_weight": ({}, 1.0),
    },
    AlphaZeroConfig: {
        "learner.learning_rate": ({}, 1e-4),
        "learner.final_fraction": ({}, 0.9),
        "learner.replay_ratio": ({}, 8.0),
        "learner.gradient_clip": ({}, 1e-3),
        "learner.value_weight": ({}, 0.1),
        "learner.search_value_fraction": ({}, 0.0),
        "learner.ema_decay": ({}, 0.1),
        "search.value_scale": ({}, 3.0),
        "search.visit_offset": ({}, 5000.0),
        "search.gumbel_scale": ({}, 0.0),
        "search.c_init": (_PUCT, 0.1),
        "search.c_base": (_PUCT, 1.0),
        "search.dirichlet_alpha": (_PUCT, 0.05),
        "search.dirichlet_fraction": (_PUCT, 0.9),
        "search.fpu_reduction": (_PUCT, 0.9),
        "selfplay.temperature.start": ({"selfplay": {"temperature": {"decay_plies": 4}}}, 0.1),
        "selfplay.temperature.end": ({}, 0.1),
        "selfplay.temperature.decay_plies": ({"selfplay": {"temperature": {"start": 0.1}}}, 9),
    },
}
_SMALL: dict[type[ExperimentConfig], Callable[..., ExperimentConfig]] = {
    AlphaZeroConfig: alphazero,
    ProgressiveGANConfig: gan,
    SeriesGANConfig: series_gan,
    SupervisedConfig: classifier,
    VocoderConfig: vocoder,
}


@pytest.mark.parametrize("kind", _CHANGES, ids=lambda kind: kind.__name__)
def test_what_may_be_perturbed_is_tried_here(kind: type[ExperimentConfig]) -> None:
    assert set(kind.perturbable) == _CHANGES[kind].keys()


def go_on(kind: type[ExperimentConfig], settings: dict[str, Any], folder: Path, saved: Path | None) -> Path:
    """The checkpoint after 2 iterations more than that of `saved`, or than none, in a run's folder."""
    torch.manual_seed(0)  # the first weights, so that no result depends on the tests before
    experiment = _BUILDERS[kind](from_settings(settings, "here"), folder)
    if saved is not None:
        experiment.load_state_dict(checkpoint.load(saved)[0])
    for _ in range(2):
        experiment.iterate()
    return checkpoint.save(folder, experiment.state_dict(), iteration=2 if saved is None else 4, counters={})


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Callable[[type[ExperimentConfig], str], tuple[Path, Path]]:
    """Makes the folder of a run of 2 iterations, and one of the same that has gone on; settings given as JSON."""

    @cache
    def made(kind: type[ExperimentConfig], given: str) -> tuple[Path, Path]:
        folder, settings = tmp_path_factory.mktemp("run"), _SMALL[kind](**json.loads(given)).model_dump(mode="json")
        saved = go_on(kind, settings, folder, None)
        further = shutil.copytree(folder, tmp_path_factory.mktemp("further"), dirs_exist_ok=True)
        return saved, go_on(kind, settings, further, saved)

    return made


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in _CHANGES.items() for key in keys], ids=lambda one: str(one)[-40:]
)
def test_a_run_in_training_goes_by_a_perturbed_setting(
    halfway: Any, kind: type[ExperimentConfig], key: str, tmp_path: Path
) -> None:
    given, value = _CHANGES[kind][key]
    saved, further = halfway(kind, json.dumps(given))
    settings = merge(_SMALL[kind](**given).model_dump(mode="json"), parse_overrides([f"{key}={value}"]))
    shutil.copytree(saved.parent, tmp_path, dirs_exist_ok=True)
    otherwise = go_on(kind, settings, tmp_path, saved)
    assert checkpoint.verify(otherwise).files != checkpoint.verify(further).files


@pytest.mark.parametrize("kind", _CHANGES, ids=lambda kind: kind.__name__)
def test_what_differs_then_is_due_to_the_setting(halfway: Any, kind: type[ExperimentConfig], tmp_path: Path) -> None:
    saved, further = halfway(kind, "{}")
    shutil.copytree(saved.parent, tmp_path, dirs_exist_ok=True)
    again = go_on(kind, _SMALL[kind]().model_dump(mode="json"), tmp_path, saved)
    assert checkpoint.verify(again).files == checkpoint.verify(further).files


_TINY = ("training.images_per_iteration=500", "threads=1", "tracking.wandb=off", "cluster.worker_cpus=0.5")


@pytest.mark.long
@pytest.mark.timeout(3 * _PATIENCE_S)
@pytest.mark.usefixtures("ray_here")
def test_all_descend_from_a_good_trial_and_count_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = "training.learning_rate=choice(1e-7, 2e-3, 5e-3)"
    options = ["--scheduler", "pbt", "--intervals", "2", "--runs-dir", str(tmp_path), "--name", "s"]
    assert main(["sweep", "supervised/digits", space, "budget=3000", *_TINY, *options]) == 0
    record = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert [interval["budget"] for interval in record["intervals"]] == [1500, 3000]
    assert "001" in record["intervals"][0]["copies"], "the hopeless trial was left as it was"
    for trial in record["trials"]:
        run = tmp_path / "s" / trial["name"]
        assert trial["state"] == "complete"
        segments = copy_run.read_segments(run)
        assert segments[0].settings["training.learning_rate"] > 1e-3
        assert segments[-1].trial == trial["name"]
        entries = [entry for entry in read(run / "metrics.jsonl") if "loss/classification" in entry.metrics]
        assert [entry.iteration for entry in entries] == list(range(1, len(entries) + 1))
        assert all(one.counters["images"] < other.counters["images"] for one, other in pairwise(entries))
    capsys.readouterr()
    best = record["trials"][0]
    assert main(["show", str(tmp_path / "s" / best["name"]), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["metrics"]["eval/accuracy"]["best"] == best["value"] > 0.9


@pytest.mark.long
@pytest.mark.timeout(2 * _PATIENCE_S)
@pytest.mark.parametrize("scheduler", ["asha", "pbt"])
def test_ctrl_c_leaves_checkpoints_one_line_and_no_process(scheduler: str, tmp_path: Path) -> None:
    asked = ["training.learning_rate=choice(1e-3, 2e-3, 5e-3)", "budget=100000000", *_TINY, "--scheduler", scheduler]
    command = [sys.executable, "-m", "lab", "sweep", "supervised/digits", *asked, "--runs-dir", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--name", "s"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not any(read(path) for path in (tmp_path / "s").glob("*/metrics.jsonl")):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.2)
        started = processes.descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, _ = process.communicate(timeout=_PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert output.splitlines()[-1].startswith("SIGINT: stopped; continue a trial with `lab resume")
    assert "Traceback" not in output
    trained = [path for path in (tmp_path / "s").glob("*/metrics.jsonl") if read(path)]
    assert all(checkpoint.latest_valid(path.parent / "checkpoints", pytest.fail) for path in trained)
    deadline = time.monotonic() + 10
    while left := processes.running(started):
        assert time.monotonic() < deadline, [Path(f"/proc/{number}/cmdline").read_bytes() for number in left]
        time.sleep(0.2)
