"""`lab ablate`: which runs it makes, how long they train, and what it finds on their curves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cluster.cli import ablate as verb
from lab.cli.main import main
from lab.run.interrupt import Interrupt
from lab.run.metrics import MetricsLog

Commands = dict[str, list[str]]
CHEAP = "cheap: search.simulations=16"


class Trainer:
    """Writes curves in place of training: the value is 0.1 per 1,000 evaluations, plus 0.2 with 16 simulations.

    A position has one evaluation, with 16 simulations half of one, and 1,000 evaluations take 10 seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[Commands] = []

    def __call__(self, commands: Commands, interrupt: Interrupt) -> set[str]:
        self.calls.append(commands)
        for name, command in commands.items():
            self.train(name, " ".join(command))
        return set()

    def train(self, name: str, command: str) -> None:
        run = self.folder / name
        run.mkdir(exist_ok=True)
        (run / "metrics.jsonl").unlink(missing_ok=True)
        if "simulations=16" in command:
            (run / "cheap").touch()
        cheap = (run / "cheap").exists()
        budget = int(re.findall(r" budget=(\d+)", command)[-1])
        with MetricsLog(run / "metrics.jsonl") as log:
            for part in range(1, 11):
                positions = budget * part // 10
                evaluations = positions // 2 if cheap else positions
                counters = {"positions": positions, "network_evaluations": evaluations}
                values = {"time/iteration_s": budget / (2000 if cheap else 1000)}
                log.append(part, counters, values | {"eval/optimal_outcome": evaluations / 10_000 + 0.2 * cheap}, 1.0)


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    found = Trainer(tmp_path / "a")
    monkeypatch.setattr(verb, "InTurn", lambda folder: found)
    return found


def ablate(tmp_path: Path, *arguments: str, code: int = 0) -> None:
    given = ["ablate", "alphazero/connect_four", *arguments, "--name", "a", "--runs-dir", str(tmp_path)]
    assert main(given) == code


def results(tmp_path: Path) -> dict[str, dict[str, Any]]:
    record = json.loads((tmp_path / "a" / "ablation.json").read_text())
    return {row["variant"]: row for row in record["variants"]}


def test_each_seed_has_a_baseline_and_a_run_with_each_switch_on(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switch", CHEAP, "--switch", "wide: network.channels=48", "--budget", "1000")
    first = {name: " ".join(command) for name, command in trainer.calls[0].items()}
    assert list(first) == [f"{variant}-seed{seed}" for seed in (0, 1) for variant in ("baseline", "cheap", "wide")]
    on = {name: ("simulations=16" in text, "channels=48" in text) for name, text in first.items() if "seed1" in name}
    assert on == {"baseline-seed1": (False, False), "cheap-seed1": (True, False), "wide-seed1": (False, True)}
    assert all("seed=1" in text for name, text in first.items() if "seed1" in name)


def test_values_of_an_own_switch_may_have_spaces(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switch", "x: learner.value_weight={start: 1, end: 2, until: 9} seed=7", "--budget", "1000")
    command = trainer.calls[0]["x-seed0"]
    assert "learner.value_weight={start: 1, end: 2, until: 9}" in command and "seed=7" in command


def test_a_run_with_less_cost_than_its_baseline_is_continued(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switch", CHEAP, "--budget", "1000", "--seeds", "1")
    assert [list(call) for call in trainer.calls] == [["baseline-seed0", "cheap-seed0"], ["cheap-seed0"]]
    (command,) = trainer.calls[1].values()
    assert command[3] == "resume" and int(command[-1].removeprefix("budget=")) >= 2000


def test_the_gain_is_the_difference_at_equal_cost(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switch", CHEAP, "--budget", "1000")
    found = results(tmp_path)
    assert found["baseline"]["at_cost"] == pytest.approx(0.1) and found["baseline"]["gain_at_cost"] is None
    assert found["cheap"]["at_cost"] == pytest.approx(0.3)
    assert found["cheap"]["gain_at_cost"] == {"mean": pytest.approx(0.2), "half_width": pytest.approx(0, abs=1e-9)}
    assert found["cheap"]["gain_at_seconds"]["mean"] == pytest.approx(0.2, abs=0.01)


def test_removed_switches_gain_what_the_runs_without_them_lose(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--remove", "--switch", CHEAP, "--switch", "wide: network.channels=48", "--budget", "1000")
    on = {name: " ".join(command) for name, command in trainer.calls[0].items() if "seed0" in name}
    assert "simulations=16" in on["baseline-seed0"] and "channels=48" in on["baseline-seed0"]
    assert "simulations=16" not in on["cheap-seed0"] and "channels=48" in on["cheap-seed0"]
    assert results(tmp_path)["cheap"]["gain_at_cost"]["mean"] == pytest.approx(0.2)


def test_the_budget_follows_the_progress_of_a_switch(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switches", "playout_cap", "--budget", "1000", "--seeds", "1")
    budgets = [int(re.findall(r" budget=(\d+)", " ".join(command))[-1]) for command in trainer.calls[0].values()]
    assert budgets[0] == 1000 < budgets[1]


def test_the_same_command_continues_and_another_is_refused(
    tmp_path: Path, trainer: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--switch", CHEAP, "--seeds", "1"]
    ablate(tmp_path, *given, "--budget", "1000")
    ablate(tmp_path, *given, "--budget", "1000")
    ablate(tmp_path, *given, "--budget", "2000", code=2)
    assert "give the ablation another --name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no switches: give --switches"),
        (["--switches", "muonn"], "did you mean 'muon'"),
        (["--switch", "muon"], "write NAME: KEY=VALUE"),
        (["--switch", "baseline: seed=1"], "cannot be named 'baseline'"),
        (["--switch", "a: seed=1", "--switch", "a: seed=2"], "two switches are named 'a'"),
        (["--switch", "a: search.simulatons=8"], "search.simulations"),
        (["--switches", "muon", "cluster.workers=2"], "leave cluster.workers at 0"),
        (["--switches", "muon", "--metric", "eval/optimal_outcom"], "did you mean 'eval/optimal_outcome'"),
        (["--switches", "muon", "--address", "a:1"], "--address needs --workers"),
        (["--switches", "forced_playouts"], "has no effect without search.algorithm=puct"),
    ],
)
def test_a_bad_ablation_is_refused_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], trainer: Trainer
) -> None:
    ablate(tmp_path, *arguments, code=2)
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not trainer.calls and not any(tmp_path.iterdir())


def test_all_switches_are_those_that_have_an_effect(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switches", "all", "--seeds", "1", "--budget", "1000")
    assert "solver-seed0" in trainer.calls[0] and "forced_playouts-seed0" not in trainer.calls[0]


def test_kinds_without_switches_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "supervised/iris", "--switches", "all", "--runs-dir", str(tmp_path)]) == 2
    assert "have no switches" in capsys.readouterr().err


def test_an_idea_that_the_preset_has_is_off_where_its_switch_is(tmp_path: Path, trainer: Trainer) -> None:
    ablate(tmp_path, "--switches", "muon,solver", "--budget", "1000", "--seeds", "1")
    optimizers = {
        name: re.findall(r" learner\.optimizer=(\w+)", " ".join(command))[-1]
        for name, command in trainer.calls[0].items()
    }
    assert optimizers == {"baseline-seed0": "adamw", "muon-seed0": "muon", "solver-seed0": "adamw"}


@pytest.mark.slow
def test_the_table_is_that_of_the_runs_and_repeating_the_command_trains_nothing(tmp_path: Path) -> None:
    small = ["selfplay.boards=16", "search.simulations=4", "network={channels: 8, blocks: 1}", "evaluate.every=2"]
    small += ["replay={min_positions: 100, window_start: 200}", "threads=1", "evaluate.simulations=2"]
    given = ["--switches", "muon", "--seeds", "1", "--budget", "400", "--name", "a", "--runs-dir", str(tmp_path)]
    assert main(["ablate", "alphazero/tic_tac_toe", *small, *given]) == 0
    found = results(tmp_path)
    assert found["muon"]["cost"] >= found["baseline"]["cost"] > 400
    assert 0 <= found["baseline"]["at_cost"] <= 1
    (tmp_path / "a" / "ablation.json").unlink()
    assert main(["ablate", "alphazero/tic_tac_toe", *small, *given]) == 0
    assert results(tmp_path) == found
