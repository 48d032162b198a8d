"""Anomaly detection beside pyod on the same normal rows: the baselines are its scores, the networks are no worse."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.cli.main import main
from lab.config.loading import load_preset
from lab.supervised.baselines.anomalies import scores_of_baselines
from lab.supervised.config import SupervisedConfig
from lab.supervised.data import training_and_test
from lab.supervised.labelled_set import LabelledSet

pytestmark = pytest.mark.peers
pyod = pytest.importorskip("pyod", reason="pyod is not installed: `make peers` has it")


def tumours() -> tuple[LabelledSet, LabelledSet]:
    config = load_preset("supervised/anomalies_density")
    assert isinstance(config, SupervisedConfig)
    return training_and_test(config)


def test_the_baselines_are_pyods_scores() -> None:
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN

    train, test = tumours()
    ours = scores_of_baselines(train.inputs, test.inputs, 0)
    neighbours = KNN(n_neighbors=5, method="largest").fit(train.inputs).decision_function(test.inputs)
    np.testing.assert_allclose(ours["nearest neighbours"], neighbours, rtol=1e-5)
    forest = IForest(random_state=0).fit(train.inputs).decision_function(test.inputs)
    assert np.array_equal(np.argsort(ours["isolation forest"]), np.argsort(forest))


@pytest.mark.parametrize("preset", ["anomalies_table", "anomalies_density"])
def test_the_networks_are_no_worse_than_ecod_and_copod(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from sklearn.metrics import average_precision_score

    train, test = tumours()
    anomalous = test.targets != train.targets[0]
    best = max(
        average_precision_score(anomalous, model.fit(train.inputs).decision_function(test.inputs))
        for model in (ECOD(), COPOD())
    )
    assert main(["train", f"supervised/{preset}", "--runs-dir", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auprc"] > best - 0.03
