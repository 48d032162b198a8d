"""The comparison with mctx + pgx runs and reports; its figures come from longer runs of the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peers
for _module in ("jax", "mctx", "pgx"):
    pytest.importorskip(_module, reason=f"{_module} is not installed: `make peers` has it")

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_a_short_comparison() -> None:
    sizes = {"channels": 8, "blocks": 1, "batch": 16, "simulations": 4, "seconds": 0.5, "rounds": 1, "threads": 1}
    options = [f"--{name}={value}" for name, value in sizes.items()]
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; sys.argv[0] = sys.argv.pop(1); "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(ROOT / "tests/bench/mctx_pgx.py"), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["settings"] == sizes
    for player in ("rivals", "rivals_without_table", "mctx_pgx"):
        assert result[player]["moves_per_s"] > 0
        assert result[player]["simulations_per_s"] == pytest.approx(4 * result[player]["moves_per_s"])
    assert result["ratio"] == pytest.approx(result["rivals"]["moves_per_s"] / result["mctx_pgx"]["moves_per_s"])
