"""The guard against NaN: a run stops before it saves broken numbers and writes a debug bundle."""

import json
import math
import shutil
from collections.abc import Mapping
from itertools import islice
from typing import Any

from lab.errors import UserError
from lab.run import checkpoint
from lab.run.experiment import Experiment
from lab.run.run_dir import RunDir

_TAIL_LINES = 200


def non_finite_losses(metrics: Mapping[str, float]) -> dict[str, float]:
    """The losses (metrics with "loss" in their name) that are NaN or infinite."""
    return {name: value for name, value in metrics.items() if "loss" in name and not math.isfinite(value)}


def write_bundle(
    run_dir: RunDir, experiment: Experiment, iteration: int, reason: str, metrics: Mapping[str, float]
) -> UserError:
    """Write `debug/iteration-N/` in the run and return the error that ends it.

    The bundle is a checkpoint of the present state (`checkpoint.load` reads it), config.yaml, the last lines
    of metrics.jsonl, and failure.json with the reason and the metrics of the iteration that failed.
    """
    has_checkpoint = bool(checkpoint.numbered(run_dir.checkpoints))
    kept = "the last good checkpoint is kept" if has_checkpoint else "nothing was saved before"
    hint = f"{kept}; look for a learning rate that is too high or bad input"
    try:
        bundle = checkpoint.save(
            run_dir.path / "debug",
            experiment.state_dict(),
            iteration=iteration,
            counters=experiment.counters,
            name=f"iteration-{iteration:06d}",
        )
        failure: dict[str, Any] = {
            "iteration": iteration,
            "reason": reason,
            "metrics": {name: value if math.isfinite(value) else repr(value) for name, value in metrics.items()},
            "versions": checkpoint.versions(),
        }
        (bundle / "failure.json").write_text(json.dumps(failure, indent=1), encoding="utf-8")
        (bundle / "metrics-tail.jsonl").write_text("".join(_tail(run_dir)), encoding="utf-8")
        shutil.copy2(run_dir.config_path, bundle)
    except (OSError, UserError) as error:
        return UserError(f"iteration {iteration}: {reason}; {hint}; its debug bundle could not be written: {error}")
    return UserError(f"iteration {iteration}: {reason}; {hint}; the failed state is in {bundle}")


def _tail(run_dir: RunDir) -> list[str]:
    if not run_dir.metrics_path.exists():
        return []
    with run_dir.metrics_path.open() as file:
        lines = sum(1 for _ in file)
        file.seek(0)
        return list(islice(file, max(0, lines - _TAIL_LINES), None))
