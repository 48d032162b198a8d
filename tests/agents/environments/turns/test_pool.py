"""Processes that step lines: equal to this process, replaced when they die or hang, gone with their parent."""

import functools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.environments.turns.pool import StepperPool
from agents.environments.turns.rules import found_rules
from agents.environments.turns.stepper import Rows, Stepper
from lab.errors import UserError
from tests.agents.pettingzoo import nim

ROOT = Path(__file__).parents[4]


def line(*moves: int) -> bytes:
    return np.array(moves, np.int16).tobytes()


LINES = [line(), line(0), line(0, 1), line(2, 2), line(2, 2, 2), line(0, 0, 0, 0, 0, 0, 0, 1), line(1, 1, 1, 1)]
LAST_STONE = [line(1, 1, 1, 0), line(1, 1, 1, 1)]


def equal(one: Rows, other: Rows) -> bool:
    pairs: Any = zip(one, other, strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def permuted(rows: Rows, order: Any) -> Rows:
    fields: Any = (field[order] for field in rows)
    return Rows(*fields)


@pytest.mark.parametrize("kind", [nim.Nim, nim.Offers, nim.OneModule, nim.LosesItsWay], ids=lambda kind: kind.__name__)
def test_every_way_to_copy_gives_the_same_positions(kind: type[nim.Nim]) -> None:
    """In any order: also lines whose beginning was never stepped, and those that were forgotten."""
    expected = Stepper(found_rules(nim.Nim)).step(LINES)
    assert expected.done.tolist() == [False, False, False, False, True, True, False]
    assert expected.outcome.tolist() == [0, 0, 0, 0, 1, -1, 0]
    stepper = Stepper(found_rules(kind))
    stepper._most = 3
    order = np.random.default_rng(0)
    for _ in range(20):
        rows = order.permutation(len(LINES))
        assert equal(stepper.step([LINES[row] for row in rows]), permuted(expected, rows))
    assert [code.bits.tolist() for code in stepper.seen_by(LINES[:1] * 2, [0, 1])] == [
        code.bits.tolist() for code in Stepper(found_rules(nim.Nim)).seen_by(LINES[:1] * 2, [0, 1])
    ]


def test_a_game_that_reaches_its_limit_is_drawn() -> None:
    rows = Stepper(found_rules(nim.Nim, max_plies=2)).step([line(0, 1), line(0)])
    assert rows.done.tolist() == [True, False] and not rows.outcome.any() and not rows.mask[0].any()


@pytest.mark.slow
def test_processes_step_as_this_process_does() -> None:
    rules = found_rules(nim.Nim)
    pool = StepperPool(rules, 2)
    try:
        assert equal(pool.step(LINES), Stepper(rules).step(LINES))
        assert equal(pool.step(LINES[:1]), Stepper(rules).step(LINES[:1]))
    finally:
        pool.close()


@pytest.mark.parametrize("how", ["dies", "hangs"])
@pytest.mark.slow
def test_a_process_is_replaced_and_asked_again(how: str, tmp_path: Path) -> None:
    path = tmp_path / "fault"
    rules = found_rules(functools.partial(nim.Faulty, str(path), how))
    path.touch()
    pool = StepperPool(rules, 1, timeout_s=10.0)
    try:
        assert equal(pool.step(LAST_STONE), Stepper(found_rules(nim.Nim)).step(LAST_STONE))
        assert not path.exists()
    finally:
        pool.close()


@pytest.mark.slow
def test_an_environment_that_always_dies_ends_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "fault"
    rules = found_rules(functools.partial(nim.Faulty, str(path), "dies", True))
    path.touch()
    pool = StepperPool(rules, 1)
    try:
        with pytest.raises(UserError, match=r"nim_v0 failed 3 times at the same moves \(the process has died"):
            pool.step(LAST_STONE)
    finally:
        pool.close()


@pytest.mark.slow
def test_what_an_environment_raises_is_one_line_and_the_process_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "fault"
    rules = found_rules(functools.partial(nim.Faulty, str(path), "fails"))
    path.touch()
    pool = StepperPool(rules, 1)
    try:
        with pytest.raises(UserError, match=r"^environment nim_v0 failed in step .*RuntimeError: a stone is broken"):
            pool.step(LAST_STONE)
        assert equal(pool.step(LAST_STONE), Stepper(found_rules(nim.Nim)).step(LAST_STONE))
    finally:
        pool.close()


def test_an_environment_that_hangs_while_it_is_checked_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "fault").touch()
    with pytest.raises(UserError, match=r"could not be checked within 0\.1 s"):
        found_rules(functools.partial(nim.Faulty, str(tmp_path / "fault"), "hangs"), limit_s=0.1)


def test_a_move_that_is_not_of_the_game_any_more_is_one_line() -> None:
    """A recorded line of another version of the environment."""
    with pytest.raises(UserError, match="the game is over, and was not when these moves were first played"):
        Stepper(found_rules(nim.Nim)).step([line(2, 2, 2, 0)])


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=lambda end: end.name)
def test_processes_end_with_their_parent_also_while_they_hang(end: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "fault"
    program = textwrap.dedent(
        f"""
        import functools, sys, pathlib
        from agents.environments.turns.pool import StepperPool
        from agents.environments.turns.rules import found_rules
        from tests.agents.pettingzoo import nim
        import numpy as np
        if __name__ == "__main__":
            rules = found_rules(functools.partial(nim.Faulty, {str(path)!r}, "hangs"))
            pool = StepperPool(rules, 1)
            pool.step([b""])
            print(pool._workers[0].process.pid, flush=True)
            pathlib.Path({str(path)!r}).touch()
            pool.step([np.array([1, 1, 1, 1], np.int16).tobytes()])
        """
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while path.exists() or not path.parent.exists():
            time.sleep(0.05)
        parent.send_signal(end)
        parent.wait(20)
    deadline = time.monotonic() + 20
    while alive(child):
        assert time.monotonic() < deadline, "the process has outlived its parent"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
