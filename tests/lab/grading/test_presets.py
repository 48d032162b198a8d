"""The grader of the generated essays, whose scores are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.cli.main import main
from lab.grading.grader import load_grader
from lab.grading.grammar import TRAITS, score_of, write
from lab.grading.results import result_of
from lab.train.device import Device


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_preset_grades_essays_of_the_grammar_and_sees_disorder_and_faults(tmp_path: Path) -> None:
    settings = ["data.size=400", "budget=4000", "training.examples_per_iteration=1000", "tracking.wandb=off"]
    assert main(["train", "sequences/essays", *settings, "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    grader = load_grader(tmp_path / "run", Device(torch.device("cpu"), "fp32", 1))
    found = result_of(grader, baselines=True)
    metrics, methods = found.metrics(), found.methods()
    kappa: dict[Any, Any] = {row[0]: row[1] for row in methods.rows}
    assert metrics["qwk"] > 0.8 and metrics["coverage"] > 0.75
    assert kappa["word count"] < 0.4 < kappa["this run"] - 0.3
    assert kappa["this run"] > kappa["surface ridge"]
    assert metrics["shuffled_change"] < -0.05 and metrics["shuffled_lower"] > 0.6

    def estimate(**levels: int) -> float:
        draws = [np.random.Generator(np.random.Philox(key=n)) for n in range(8)]
        texts = [write("team sports", dict.fromkeys(TRAITS, 5) | levels, draw) for draw in draws]
        return float(grader.predict(texts)[:, 0].mean())

    # Each kind of fault costs.
    perfect = estimate()
    assert perfect > score_of(np.array([4, 4, 4, 4]))
    for trait in TRAITS:
        assert estimate(**{trait: 1}) < perfect - 0.1, trait
