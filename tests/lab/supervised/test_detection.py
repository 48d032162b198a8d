"""Detection of frauds: the budget of reviews, baselines and their order."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.cli.main import main
from lab.data.transactions import fraud_probability
from lab.supervised.data import training_and_test
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.ranking import average_precision, review
from lab.supervised.tasks.detection import Detection
from tests.lab.small_classifier import other, written

SETTINGS = other(
    data={"source": "transactions", "held_out": 0.5},
    task={"name": "detection", "amount": "amount", "reviews": 0.02, "review_cost": 5.0},
    network={"name": "mlp", "hidden": [16]},
    training={"batch_size": 100, "images_per_iteration": 20_000, "decay_images": 20_000},
    budget=20_000,
)


@pytest.mark.slow
def test_a_short_run_stands_between_chance_and_the_exact_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(written(tmp_path, SETTINGS)), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), "--baselines", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    exact = found["baselines"].pop("exact probabilities")
    assert set(found["baselines"]) == {"logistic regression", "gradient boosting"}
    for row in (found, *found["baselines"].values()):
        assert 0.1 < row["auprc"] < exact["auprc"] and row["cost"] > exact["cost"]
    _, test = training_and_test(SETTINGS)
    scores, frauds = torch.from_numpy(fraud_probability(test.table.inputs)), torch.from_numpy(test.targets == 1)
    assert exact["auprc"] == pytest.approx(average_precision(scores, frauds))
    amounts = torch.from_numpy(np.array(test.table.inputs[:, 0]))
    assert exact["cost"] == pytest.approx(review(scores, frauds, fraction=0.02, amounts=amounts, review_cost=5.0).cost)


def test_the_rarest_class_is_detected_by_default_and_a_wrong_column_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    rows = [f"{number},{'rare' if number % 10 == 0 else 'usual'}" for number in range(200)]
    table.write_text("a,target\n" + "\n".join(rows) + "\n")
    for amount, code in (("", 0), ("b", 2)):
        settings = other(
            data={"source": str(table)},
            task={"name": "detection", "amount": amount},
            network={"name": "mlp", "hidden": [4]},
            evaluate={"every": 1},
        )
        name = f"run{code}"
        assert main(["train", str(written(tmp_path, settings)), "--runs-dir", str(tmp_path), "--name", name]) == code
    assert "task.amount" in capsys.readouterr().err


def test_the_rarest_class_is_one_that_the_test_set_has() -> None:
    task, targets = Detection(), np.array([0, 0, 0, 2, 2])
    test = LabelledSet("rows", np.zeros((5, 1), np.float32), targets, ("usual", "absent", "rare"), ("a",), "")
    scores = torch.tensor([0.1, 0.2, 0.3, 0.8, 0.9])
    assert task._ranked(scores, test)["eval/auprc"] == 1.0
