"""Anomalies in tables: what the scores are, what is trained on, and what the command line says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.cli.main import main
from lab.nets.mlp import MLP
from lab.supervised.data import training_and_test
from lab.supervised.network import Backbone
from lab.supervised.tasks.anomalies import Autoencoder
from tests.lab.small_classifier import other, written
from tests.same_run import assert_same_run

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [8]},
    "flow": {"name": "flow", "couplings": 2, "hidden": 8},
}


def settings(network: str, **sections: Any) -> Any:
    return other(
        **{
            "data": {"source": "breast_cancer", "held_out": 0.4},
            "task": {"name": "anomalies", "normal": "benign", "noise": 0.2, "code": 3},
            "network": NETWORKS[network],
            "training": {"batch_size": 32, "learning_rate": 5e-3, "decay_images": 4000},
            "budget": 4000,
            **sections,
        }
    )


def test_only_normal_rows_are_trained_on_and_standardized_by() -> None:
    train, test = training_and_test(settings("mlp"))
    assert {train.classes[number] for number in train.targets} == {"benign"}
    assert len(set(test.targets.tolist())) == 2
    assert np.allclose(train.inputs.mean(0), 0.0, atol=1e-5) and np.allclose(train.inputs.std(0), 1.0, atol=1e-4)


def test_an_autoencoders_score_is_the_density_of_its_errors() -> None:
    torch.manual_seed(0)
    identity = torch.nn.Identity()
    trunk = MLP(4, [6], None)
    network = Autoencoder(Backbone(identity, trunk, identity, identity, 6), torch.nn.Linear(6, 4), 4)
    with torch.no_grad():
        network.log_deviation.copy_(torch.tensor([0.0, -1.0, 0.5, 2.0]))
    rows = torch.randn(5, 4)
    rebuilt = network.out(network.features(rows))
    expected = torch.distributions.Normal(rebuilt, network.log_deviation.exp()).log_prob(rows).sum(1)
    torch.testing.assert_close(network(rows), expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_malignant_rows_are_found_evaluated_and_predicted(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, settings(network))
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 227 and found["auroc"] > 0.85 and found["auprc"] > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_stopped_run_goes_on_bit_for_bit(network: str, tmp_path: Path) -> None:
    training = {"batch_size": 32, "images_per_iteration": 320, "decay_images": 1280}
    file = written(tmp_path, settings(network, training=training, budget=1280, evaluate={"every": 2}))
    assert main(["train", str(file), "--runs-dir", str(tmp_path), "--name", "whole"]) == 0
    assert main(["train", str(file), "budget=640", "--runs-dir", str(tmp_path), "--name", "parts"]) == 0
    assert main(["resume", str(tmp_path / "parts"), "budget=1280"]) == 0
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_what_does_not_fit_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        "no class 'bening'": settings("mlp", task={"name": "anomalies", "normal": "bening"}),
        "needs normal rows and anomalies": settings(
            "mlp", task={"name": "anomalies", "normal": ["benign", "malignant"]}
        ),
    }
    for message, config in cases.items():
        assert main(["train", str(written(tmp_path, config)), "--runs-dir", str(tmp_path), "--name", "bad"]) == 2
        assert message in capsys.readouterr().err
