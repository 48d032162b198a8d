"""Killed, stopped or damaged, a run that is resumed computes what the uninterrupted one does, bit for bit.

All of it through the command line, in processes of their own.
"""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from lab.run import checkpoint, metrics
from tests.agents.small_alphazero import preset
from tests.agents.small_games import OPTIONS
from tests.command_line import lab, launch, wait_until
from tests.same_run import assert_same_bits, assert_same_run, computed_metrics, final_state


def small(folder: Path) -> Path:
    """About 15 iterations; the window moves on, so that segments are pruned on the way."""
    return preset(
        folder,
        budget=450,
        checkpoint={"every": 3, "keep": 3},
        evaluate={"every": 8, "best": "eval/optimal_outcome", "simulations": 1},
    )


def iterations(run: Path) -> int:
    return max((entry.iteration for entry in metrics.read(run / "metrics.jsonl")), default=0)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    lab("train", small(folder), "--runs-dir", folder, "--name", "run")
    assert iterations(folder / "run") >= 14
    first = min((folder / "run" / "replay").iterdir()).name
    assert not first.startswith("segment-0000000000"), "nothing was pruned: the tests below would show less"
    return folder / "run"


@pytest.fixture(scope="module")
def _killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    process = launch("train", small(folder), "--runs-dir", folder, "--name", "run")
    # Past the third checkpoint, that of iteration 9, so that there is work to lose.
    wait_until(lambda: iterations(folder / "run") >= 10, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and 10 <= iterations(folder / "run") < 14
    return folder / "run"


@pytest.fixture
def killed(_killed: Path, tmp_path: Path) -> Path:
    """A run that got `kill -9` in iteration 10 or soon after; every test has a copy of its own."""
    return Path(shutil.copytree(_killed, tmp_path / "run"))


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(uninterrupted: Path, killed: Path) -> None:
    output = lab("resume", killed)
    assert "continuing from iteration" in output and "bit for bit" not in output
    assert_same_run(uninterrupted, killed)


@pytest.mark.slow
def test_a_damaged_checkpoint_and_a_damaged_segment_cost_only_the_way_back(uninterrupted: Path, killed: Path) -> None:
    newest, second, third = checkpoint.numbered(killed / "checkpoints")
    (newest / "tensors.safetensors").unlink()
    # A segment of the second that the third does not need.
    state, earlier = checkpoint.load(second)[0], checkpoint.load(third)[0]
    segment = killed / "replay" / state["experiment"]["replay"]["segments"][-1]["name"]
    assert int(segment.name.split("-")[1]) >= earlier["experiment"]["replay"]["total"]
    data = segment.read_bytes()
    segment.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])

    output = lab("resume", killed)
    skipped = [line for line in output.splitlines() if line.startswith("skipped checkpoint")]
    assert len(skipped) == 2
    assert "tensors.safetensors is missing" in skipped[0] and segment.name in skipped[1]
    assert f"continuing from iteration {int(third.name)} " in output
    assert_same_run(uninterrupted, killed)


@pytest.mark.slow
def test_stopped_by_sigterm_and_resumed_equals_uninterrupted(uninterrupted: Path, killed: Path) -> None:
    at = iterations(killed)
    process = launch("resume", killed)
    wait_until(lambda: iterations(killed) > at, process)
    process.terminate()
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 143 and "Traceback" not in output
    assert iterations(killed) < iterations(uninterrupted)
    lab("resume", killed)
    (one, place), (other, other_place) = final_state(uninterrupted), final_state(killed)
    # The extra checkpoint has cut the replay into other files, of the same positions.
    files, other_files = one["experiment"].pop("replay"), other["experiment"].pop("replay")
    assert files["total"] == other_files["total"]
    assert_same_bits((one, place), (other, other_place))
    assert computed_metrics(uninterrupted) == computed_metrics(killed)


DATA_SWITCHES: dict[str, Any] = {
    "selfplay": {"full_search_fraction": 0.5, "cheap_simulations": 2, "surprise_weighting": True},
    "replay": {"reanalyse_fraction": 0.5},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "switches"), [("chess", {}), ("go", {}), ("go", DATA_SWITCHES)], ids=["chess", "go", "go, all switches"]
)
def test_games_with_slots_and_a_history_are_resumed_bit_for_bit(
    name: str, switches: dict[str, Any], tmp_path: Path
) -> None:
    settings = preset(
        tmp_path,
        budget=450,
        game={"name": name, "options": OPTIONS[name]},
        network={"heads": "convolutional", "head_channels": 4},
        selfplay={"record_states": True, "policy_entries": 12, **switches.get("selfplay", {})},
        replay=switches.get("replay", {}),
        checkpoint={"every": 3, "keep": 3},
    )
    assert_killed_and_resumed_equals_uninterrupted(settings, tmp_path)


@pytest.mark.slow
def test_self_play_beside_the_learner_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    settings = preset(tmp_path, selfplay={"overlap": True}, checkpoint={"every": 3, "keep": 3})
    assert_killed_and_resumed_equals_uninterrupted(settings, tmp_path)


def assert_killed_and_resumed_equals_uninterrupted(settings: Path, folder: Path) -> None:
    """Train a preset twice, once killed after a checkpoint and resumed, and compare the runs bit for bit."""
    lab("train", settings, "--runs-dir", folder / "straight", "--name", "run")
    process = launch("train", settings, "--runs-dir", folder / "killed", "--name", "run")
    run = folder / "killed" / "run"
    wait_until(lambda: iterations(run) >= 7, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and iterations(run) < iterations(folder / "straight" / "run")
    assert "continuing from iteration" in lab("resume", run)
    assert_same_run(folder / "straight" / "run", run)
