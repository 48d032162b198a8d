"""Whatever a checkpoint with the right hashes holds, each kind of experiment loads it or says that it is damaged."""

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero import experiment as alphazero
from gans.progressive import experiment as progressive
from gans.series import experiment as series
from gans.vocoder import experiment as vocoder
from lab.errors import CheckpointError, UserError
from lab.grading import experiment as grading
from lab.run import checkpoint
from lab.run.checkpoint import Checkpoint
from lab.run.experiment import Experiment
from lab.run.loop_state import LoopState
from lab.run.restore import restore_experiment
from lab.sequences import experiment as sequences
from lab.speech import experiment as speech
from lab.supervised import experiment as supervised
from lab.train import random_state
from lab.train.device import Device
from tests import forging
from tests.agents import small_alphazero, small_ppo
from tests.gans import small_gan, small_series, small_vocoder
from tests.lab import small_classifier, small_grading, small_sequences, small_speech
from tests.same_run import assert_same_bits

DEVICE = Device(torch.device("cpu"), "fp32", 1)
KINDS: dict[str, Callable[[Path], Experiment]] = {
    "alphazero": lambda folder: alphazero.build(small_alphazero.config(), folder, DEVICE),
    "grading": lambda folder: grading.build(small_grading.config(), folder, DEVICE),
    "ppo": lambda folder: small_ppo.experiment(
        folder,
        env={"vectorization": "serial"},
        network={"recurrent": "lstm", "recurrent_size": 8},
        normalize={"observations": True, "rewards": True},
    ),
    "progressive_gan": lambda folder: progressive.build(
        small_gan.config(augment={"target": 0.6, "speed_images": 1000}), folder, DEVICE
    ),
    "series_gan": lambda folder: series.build(small_series.config(), folder, DEVICE),
    "sequences": lambda folder: sequences.build(small_sequences.config(), folder, DEVICE),
    "speech": lambda folder: speech.build(
        small_speech.config(small_speech.recordings(folder / "recordings")), folder, DEVICE
    ),
    "supervised": lambda folder: supervised.build(
        small_classifier.config(data={"source": "digits"}, training={"optimizer": "muon"}), folder, DEVICE
    ),
    "vocoder": lambda folder: vocoder.build(small_vocoder.config(), folder, DEVICE),
}


class Forge:
    """An experiment of a kind, and a checkpoint of it after two iterations."""

    def __init__(self, kind: str, folder: Path) -> None:
        random_state.seed_everything(0)
        self.kind = kind
        self.experiment = KINDS[kind](folder)
        for _ in range(2):
            self.experiment.iterate()
        state = {
            "loop": {**vars(LoopState(2)), "best": {"value": None, "iteration": None, "no_better": 0}},
            "random": random_state.capture(),
            "machine": {},
            "experiment": self.experiment.state_dict(),
        }
        path = checkpoint.save(folder / "checkpoints", state, iteration=2, counters=self.experiment.counters)
        self.sound = Checkpoint(path, *checkpoint.load(path))
        self.places = list(forging.paths(self.sound.state))

    def restore(self, state: Any) -> None:
        """Raises what `restore_experiment` does, which must be a user's error."""
        # A copy, since an experiment trains on with the tensors that it loads.
        restore_experiment(self.experiment, Checkpoint(self.sound.path, copy.deepcopy(state), self.sound.manifest))

    def try_forged(self, place: forging.Path_, value: Any) -> bool:
        """Whether a forged state is refused. One that is not must be trainable."""
        try:
            self.restore(forging.replaced(self.sound.state, place, value))
        except CheckpointError as error:
            assert "\n" not in str(error)
            return True
        except UserError as error:  # another fingerprint of the data, or other names of its classes
            assert place[-1] in ("data", "test_data", "experiment") or "classes" in place, error
            return True
        try:
            self.experiment.iterate()
            self.experiment.state_dict()
        except (UserError, FloatingPointError):
            return False
        return False


@pytest.fixture(scope="module", params=KINDS)
def forge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge(request.param, tmp_path_factory.mktemp("run"))


def _forgeries(forge: Forge, count: int, seed: int) -> list[tuple[forging.Path_, Any]]:
    draw = random.Random(seed)
    values = [*forging.VALUES, *forging.TENSORS, ...]
    # Small sections are not to be outnumbered by the moments of the optimizer.
    sections: dict[Any, list[forging.Path_]] = {}
    for place in forge.places:
        sections.setdefault(place[:3], []).append(place)
    chosen = [draw.choice(sections[draw.choice(list(sections))]) for _ in range(count)]
    return [(place, draw.choice(values)) for place in chosen]


def check(forge: Forge, forgeries: list[tuple[forging.Path_, Any]]) -> None:
    refused = 0
    for place, value in forgeries:
        try:
            refused += forge.try_forged(place, value)
        except Exception as error:
            raise AssertionError(f"{'/'.join(map(str, place))} = {str(value)[:60]}: {error!r}") from error
    assert refused > len(forgeries) // 3
    forge.restore(forge.sound.state)  # nothing of the others is left
    folder = forge.sound.path.parent
    state, _ = checkpoint.load(checkpoint.save(folder, forge.experiment.state_dict(), iteration=3, counters={}))
    parts = set(state) - {"replay"}  # which counts the saves
    assert_same_bits(
        {part: state[part] for part in parts}, {part: forge.sound.state["experiment"][part] for part in parts}
    )


def test_a_forged_state_is_damaged_or_can_be_trained(forge: Forge) -> None:
    check(forge, _forgeries(forge, 30, seed=0))


@pytest.mark.long
def test_a_thousand_forged_states_are_damaged_or_can_be_trained(forge: Forge) -> None:
    check(forge, _forgeries(forge, 1000, seed=1))


@pytest.mark.parametrize("value", [..., None, "text", -1, float("nan"), [], forging.nested(100)], ids=str)
def test_a_state_without_one_of_its_counts_is_damaged(forge: Forge, value: Any) -> None:
    names = {"iteration", "steps", "images", "examples", "shown", "games", "version", "total", "seconds"}
    names |= {"updates", "episodes", "dropped", "steps_taken", "count"} if forge.kind == "ppo" else set()
    # The best value may have no iteration; a GAN stores its images twice and reads them once.
    passed_over: list[forging.Path_] = [("loop", "best", "iteration")]
    passed_over += [("experiment", "images")] * (forge.kind == "progressive_gan")
    found = [place for place in forge.places if place[-1] in names and place not in passed_over]
    assert len(found) >= 3
    for place in found:
        assert forge.try_forged(place, value), place
