"""Baselines of anomaly detection, fitted to the same normal rows as the network."""

import numpy as np

_NEIGHBOURS = 5


def scores_of_baselines(train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Scores float64 [N], larger for anomalies, of test rows [N, F], by the name of the method; train: normal rows."""
    from sklearn.covariance import LedoitWolf
    from sklearn.ensemble import IsolationForest
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import NearestNeighbors

    seed %= 2**32
    neighbours = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(train))).fit(train)
    components = min(3, len(train))
    return {
        "isolation forest": -IsolationForest(random_state=seed).fit(train).score_samples(test),
        "Gaussian mixture": -GaussianMixture(components, reg_covar=1e-2, random_state=seed)
        .fit(train)
        .score_samples(test),
        "Mahalanobis distance": LedoitWolf().fit(train).mahalanobis(test),
        "nearest neighbours": neighbours.kneighbors(test)[0][:, -1],
    }
