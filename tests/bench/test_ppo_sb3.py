"""The comparison with Stable-Baselines3 runs and reports; its figures come from longer runs of the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peers
for _module in ("stable_baselines3", "sb3_contrib"):
    pytest.importorskip(_module, reason=f"{_module} is not installed: `make peers` has it")

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("task", ["cartpole", "taxi"])
def test_a_short_comparison(task: str) -> None:
    options = ["--seconds=0.2", "--rounds=1", "--threads=1", "--processes=0", "--json"]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; sys.argv[0] = sys.argv.pop(1); "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(ROOT / "tests/bench/ppo_sb3.py"), task, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["task"] == task
    ours, theirs = (result["steps_per_s"][side]["in process, 1 thread"] for side in ("rivals", "sb3"))
    assert result["ratio"] == pytest.approx(ours / theirs)
