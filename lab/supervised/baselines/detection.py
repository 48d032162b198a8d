"""Baselines of detection: linear and boosted classifiers, and the exact probabilities where they are known."""

import numpy as np

from lab.data.transactions import fraud_probability
from lab.supervised.labelled_set import LabelledSet

_EXACT = {"transactions": fraud_probability}


def scores_of_baselines(train: LabelledSet, test: LabelledSet, positive: int, seed: int) -> dict[str, np.ndarray]:
    """Scores float64 [N] of the test set by the name of the method. The inputs of both are those of the network."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    known, labels = train.inputs.reshape(len(train), -1), train.targets == positive
    asked = test.inputs.reshape(len(test), -1)
    methods = {
        "logistic regression": LogisticRegression(max_iter=1000),
        "gradient boosting": HistGradientBoostingClassifier(random_state=seed % 2**32, learning_rate=0.05),
    }
    found = {name: method.fit(known, labels).predict_proba(asked)[:, 1] for name, method in methods.items()}
    if test.name in _EXACT:
        found["exact probabilities"] = _EXACT[test.name](test.table.inputs)
    return found
