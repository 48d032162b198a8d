"""Metrics of a time-series GAN."""

from gans.metrics import TRAINING, evaluation_metrics
from lab.run.metrics import Catalogue

_SCORES = [
    ("discriminative_score", "fraction", "|accuracy - 1/2| of a classifier of real and generated series", False),
    ("predictive_score", "std", "error on real series of a predictor trained on generated series", False),
    ("autocorrelation_distance", "", "mean difference of autocorrelations up to half the length", False),
    ("correlation_distance", "", "mean difference of the correlations of pairs of channels", False),
    ("marginal_distance", "std", "Wasserstein distance of the values at each step", False),
]

CATALOGUE = TRAINING | Catalogue(evaluation_metrics(_SCORES, "of other real series"))
