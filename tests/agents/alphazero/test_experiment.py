"""AlphaZero as an experiment: it learns, counts, grades without a trace, and stops at a broken number."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero.actors import LocalActors
from agents.alphazero.agent import make_agent
from agents.alphazero.experiment import AlphaZero, build
from agents.alphazero.network import InferenceNet
from agents.arena import minimax
from agents.arena.position_evaluation import evaluate_positions
from agents.arena.positions import Positions
from agents.games import make
from lab.config.loading import dump
from lab.config.presets import merge
from lab.errors import CheckpointError, UserError
from lab.run import checkpoint, loop, metrics
from lab.run.run_dir import RunDir
from lab.train import measured_precision, random_state
from lab.train.device import Device
from lab.train.measured_precision import Calls, Candidate
from tests.agents.small_alphazero import DEVICE, config
from tests.same_run import assert_same_bits

AUTO = Device(torch.device("cpu"), "fp32", 1, automatic=True)


def experiment(folder: Path, device: Device = DEVICE, **changes: Any) -> AlphaZero:
    settings = config(**changes)
    folder.mkdir(parents=True, exist_ok=True)
    random_state.seed_everything(settings.seed)
    return build(settings, folder, device)


def trained(folder: Path, iterations: int, **changes: Any) -> AlphaZero:
    made = experiment(folder, **changes)
    for _ in range(iterations):
        made.iterate()
    return made


def optimal_outcome(made: AlphaZero, solved: Positions) -> float:
    """How often the network alone keeps the minimax value."""
    agent = make_agent("agent", made.config, made.learner.average.module, DEVICE)
    share = evaluate_positions(agent, solved, simulations=0).searched.optimal_outcome.overall
    assert share is not None
    return share


SWITCHES: dict[str, Any] = {
    "selfplay": {
        "full_search_fraction": 0.5,
        "cheap_simulations": 2,
        "surprise_weighting": True,
        "record_states": True,
    },
    "replay": {"reanalyse_fraction": 0.5},
}


@pytest.mark.parametrize(
    "switches", [{}, pytest.param(SWITCHES, marks=pytest.mark.slow)], ids=["plain", "every switch of the data"]
)
def test_a_short_run_learns_tic_tac_toe(switches: dict[str, Any], tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "network": {"channels": 16, "blocks": 1},
        "search": {"simulations": 12, "max_considered_actions": 6},
        "selfplay": {"boards": 64, "moves_per_iteration": 8, "opening_plies": 6, "cache_slots": 2**14},
        "replay": {"capacity": 20_000, "window_start": 5000, "min_positions": 300},
        "learner": {
            "batch_size": 128,
            "replay_ratio": 4,
            "learning_rate": 5e-3,
            "decay_positions": 5000,
            "ema_decay": 0.9,
        },
    }
    made = experiment(tmp_path, **merge(settings, switches))
    solved = minimax.solve(make("tic_tac_toe")).positions()
    untrained = optimal_outcome(made, solved)
    first: dict[str, float] = {}
    while made.counters["positions"] < 4000:
        last = made.iterate()
        first = first or (last if "loss/policy" in last else {})
    assert optimal_outcome(made, solved) > max(0.75, untrained + 0.1)  # a random legal move keeps it in 0.6
    assert last["loss/policy"] < first["loss/policy"]
    assert last["loss/value"] < first["loss/value"]


def test_counters_rise_and_every_metric_is_catalogued(tmp_path: Path) -> None:
    made = experiment(
        tmp_path,
        network={"value_planes": 4},
        learner={"ema_decay": 0.5, "learning_rate": 1e-2},
        selfplay={"resign_below": -0.01, "resign_audit": 0.5},
    )
    before = dict(made.counters)
    seen: set[str] = set()
    assert made.progress in before and set(before.values()) == {0}
    for iteration in range(12):
        values = made.iterate()
        seen |= values.keys()
        assert values.keys() <= set(made.catalogue)
        assert all(isinstance(value, int | float) for value in values.values())
        now = dict(made.counters)
        assert all(now[name] >= before[name] for name in before)
        assert now["version"] == iteration + 1
        assert now["trained"] <= 2 * now["positions"]
        assert values["selfplay/games"] == now["games"]
        assert values["selfplay/evaluated"] + values["selfplay/ended"] + values["selfplay/repeated"] == pytest.approx(1)
        before = now
    assert before["positions"] > 100 and before["trained"] > 100 and before["games"] > 20
    elsewhere = {name for name in made.catalogue if name.startswith(("eval/", "cluster/"))}
    elsewhere |= {"replay/reanalysed", "time/reanalysis_s"}
    elsewhere |= {f"loss/{name}" for name in ("opponent_reply", "soft_policy", "value_horizons", "final_board")}
    assert seen == set(made.catalogue) - elsewhere


@pytest.mark.slow
def test_with_every_switch_of_the_data_it_goes_on_bit_for_bit(tmp_path: Path) -> None:
    one = trained(tmp_path, 5, **SWITCHES)
    one.state_dict()  # the positions up to here are on disk; those that change from now on go into an overlay
    assert one.iterate().keys() <= set(one.catalogue)
    path = checkpoint.save(tmp_path, one.state_dict(), iteration=6, counters={})
    state = checkpoint.load(path)[0]
    assert state["replay"]["overlays"] and state["reanalyser"]["positions"] > 0
    other = build(one.config, tmp_path, DEVICE)
    other.load_state_dict(state)
    assert other.counters == one.counters
    for _ in range(2):
        assert computed(other.iterate()) == computed(one.iterate())
    assert_same_bits(plain(other), plain(one))


def test_network_evaluations_are_the_rows_that_went_through_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    call = InferenceNet.__call__

    def spied(self: InferenceNet, observation: torch.Tensor) -> Any:
        rows.append(len(observation))
        return call(self, observation)

    monkeypatch.setattr(InferenceNet, "__call__", spied)
    made = experiment(tmp_path, **SWITCHES)
    for _ in range(5):
        values = made.iterate()
    assert made.actors.counts().evaluated < made.counters["network_evaluations"]  # reanalysis has a part in them
    assert sum(rows) == made.counters["network_evaluations"] == values["selfplay/network_evaluations"] > 0


def test_a_game_counts_only_when_it_is_over(tmp_path: Path) -> None:
    made = experiment(tmp_path, selfplay={"moves_per_iteration": 1, "opening_plies": 0})
    for _ in range(4):  # no game of tic-tac-toe ends within four moves
        made.iterate()
        assert made.counters["positions"] == made.counters["games"] == 0
    for _ in range(5):
        made.iterate()
    assert made.counters["games"] >= 8


def test_lag_is_the_age_of_the_weights_that_played(tmp_path: Path) -> None:
    made = experiment(tmp_path)
    for _ in range(8):
        values = made.iterate()
        if "replay/policy_lag" in values:
            assert 0 <= values["replay/policy_lag"] <= made.counters["version"]
    assert values["replay/policy_lag"] > 0.5


def test_the_averaged_weights_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trained(tmp_path, 5)
    published: list[tuple[int, Any]] = []
    monkeypatch.setattr(LocalActors, "publish", lambda self, version, net: published.append((version, net)))
    made.iterate()
    assert published == [(6, made.learner.average.module)]


def test_self_play_computes_in_the_configured_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def spied(net: Any, **options: Any) -> InferenceNet:
        asked.append(options["precision"])
        return InferenceNet(net, **options)

    monkeypatch.setattr("agents.alphazero.actors.InferenceNet", spied)
    experiment(tmp_path, precision="fp32")
    assert asked == ["fp32"]


@pytest.mark.parametrize(
    ("algorithm", "trunk"), [("gumbel", "residual"), ("puct", "residual"), ("gumbel", "recurrent")]
)
def test_read_back_from_a_checkpoint_it_goes_on_bit_for_bit(tmp_path: Path, algorithm: str, trunk: str) -> None:
    changes: dict[str, Any] = {
        "network": {"trunk": trunk},
        "search": {"algorithm": algorithm},
        "selfplay": {"resign_below": -0.5},
    }
    one = trained(tmp_path, 7, **changes)
    path = checkpoint.save(tmp_path, one.state_dict(), iteration=7, counters={})
    torch.rand(5)
    other = trained(tmp_path / "elsewhere", 2, seed=9, **changes)
    other = build(one.config, tmp_path, DEVICE)
    other.load_state_dict(checkpoint.load(path)[0])
    assert other.counters == one.counters
    for _ in range(4):
        assert computed(other.iterate()) == computed(one.iterate())
    assert_same_bits(plain(other), plain(one))


def test_in_the_kept_precision_it_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measured_precision.SWITCH, "1")
    monkeypatch.setattr(measured_precision, "measure", half_wins)
    one = experiment(tmp_path, device=AUTO)
    assert one.learner.device.precision == "bf16"
    for _ in range(5):
        one.iterate()
    path = checkpoint.save(tmp_path, one.state_dict(), iteration=5, counters={})
    monkeypatch.setattr(measured_precision, "measure", pytest.fail)
    other = build(one.config, tmp_path, AUTO)
    other.load_state_dict(checkpoint.load(path)[0])
    for _ in range(3):
        assert computed(other.iterate()) == computed(one.iterate())
    assert_same_bits(plain(other), plain(one))


def half_wins(calls: Calls, **_: Any) -> dict[Candidate, float]:
    return {candidate: 1.0 if candidate.precision == "bf16" else 2.0 for candidate in calls}


def computed(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not name.endswith(("_s", "_per_h"))}


def plain(made: AlphaZero) -> Any:
    """State without what a checkpoint turns from tuples into lists."""
    state = copy.deepcopy(made.state_dict())
    for group in state["learner"]["optimizer"]["param_groups"]:
        group["betas"] = list(group["betas"])
    return state


def test_an_evaluation_leaves_training_as_it_was(tmp_path: Path) -> None:
    changes = {"evaluate": {"simulations": 2, "games": 4, "rollouts": 2}}
    one, other = trained(tmp_path / "a", 4, **changes), trained(tmp_path / "b", 4, **changes)
    before = copy.deepcopy(trainable(one))
    evaluation = one.evaluate()
    assert evaluation.metrics.keys() <= set(one.catalogue)
    assert evaluation.metrics.keys() >= {"eval/optimal_outcome", "eval/score_random", "eval/score_rollouts"}
    assert_same_bits(trainable(one), before)
    assert computed(one.iterate()) == computed(other.iterate())
    one.iterate(), other.iterate()
    assert_same_bits(trainable(one), trainable(other))


def trainable(made: AlphaZero) -> Any:
    """All that training changes; taking the replay's state would add to its list of saves."""
    return made.learner.state_dict(), made.actors.state_dict(), made.counters


def run(folder: Path, made: AlphaZero) -> None:
    with RunDir.create(folder, "run", dump(made.config)) as run_dir:
        loop.run(made, made.config, run_dir)


@pytest.mark.parametrize(
    ("learner", "reason"),
    [
        ({"learning_rate": 1e38, "gradient_clip": 1e38}, "loss/"),
        # The loss is finite and its gradient is not: weights would be broken, and saved, before any loss tells.
        ({"value_weight": 1e38}, "gradient"),
    ],
)
def test_a_broken_number_stops_the_run_and_the_last_good_checkpoint_stays(
    tmp_path: Path, learner: dict[str, float], reason: str
) -> None:
    made = experiment(tmp_path / "run", learner=learner, checkpoint={"every": 1})
    with pytest.raises(UserError, match=reason) as error:
        run(tmp_path, made)
    assert "last good checkpoint is kept" in str(error.value)
    newest = checkpoint.latest_valid(tmp_path / "run" / "checkpoints", pytest.fail)
    assert newest is not None
    state, _ = checkpoint.load(newest)
    for name, value in state["experiment"]["learner"]["net"].items():
        assert torch.isfinite(value).all(), name
    assert (tmp_path / "run" / "debug").is_dir()
    assert metrics.read(tmp_path / "run" / "metrics.jsonl")


def test_a_checkpoint_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    made = experiment(tmp_path / "a")
    foreign = experiment(tmp_path / "b", network={"channels": 4}).state_dict()
    for state in (foreign, {"counters": 1}, {"learner": 3}):
        with pytest.raises(CheckpointError, match=r"config\.yaml") as error:
            made.load_state_dict(state)
        assert "\n" not in str(error.value)
