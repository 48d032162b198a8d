"""`lab bench ppo` prints one JSON object whose numbers agree with each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main

SMALL = [
    *("env.count=4", "learner.rollout_steps=16", "learner.minibatch=32", "learner.epochs=1"),
    *("learner.updates_per_iteration=1", "threads=1", "device=cpu", "--seconds=0.05"),
]


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["bench", "ppo", *arguments, *SMALL, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)  # one object and nothing else
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("env", ["CartPole-v1", "Taxi-v4"], ids=["vectorised", "with masks"])
def test_the_numbers_agree_with_each_other(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(capsys, env)
    assert (found["env"], found["environments"], found["rollout_steps"], found["minibatch"]) == (env, 4, 16, 32)
    parts = found["fraction_by_component"]
    assert parts.keys() == {"environment", "policy", "learner", "rest"}
    assert min(parts.values()) > 0 and sum(parts.values()) == pytest.approx(1.0)
    # Rounds this short say nothing about which is faster.
    assert found["steps_per_s"] > 0 and found["env_steps_per_s"] > 0 and found["env_ratio"] > 0


def test_a_preset_is_measured_and_leaves_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert measured(capsys, "ppo/cartpole")["env"] == "CartPole-v1"
    assert list(tmp_path.iterdir()) == []


def test_without_json_it_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "ppo", "CartPole-v1", *SMALL]) == 0
    output = capsys.readouterr().out
    assert "of the environment alone" in output and "learner" in output and "{" not in output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["CartPol-v1"], "did you mean 'CartPole-v1'"),
        (["supervised/iris"], "not ppo"),
        (["CartPole-v1", "env.coun=2"], "env.coun"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "ppo", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and expected in captured.err
    assert captured.err.startswith("lab: ") and captured.err.count("\n") == 1
