"""The metrics of grading runs. During training `eval` is of the validation essays; `lab eval` has the test."""

from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/total", "", "loss of the training batches: scores, traits, telling random orders", "loss", False),
        Metric("train/gradient_norm", "", "norm of the gradient before clipping, mean over the steps", "train"),
        Metric("train/learning_rate", "", "learning rate of the last step", "train"),
        Metric("train/samples_per_s", "1/s", "training essays per second", "train", True),
        Metric(
            "eval/loss",
            "",
            "squared error of the standardized score plus cross-entropy of telling random orders",
            "eval",
            False,
        ),
        Metric("eval/qwk", "", "quadratic weighted kappa of grade and score", "eval", True),
        Metric("eval/linear_qwk", "", "quadratic weighted kappa of the linear part alone", "eval", True),
        Metric("eval/pearson", "", "correlation of predicted and true score", "eval", True),
        Metric("eval/rmse", "", "root mean squared error of the score, in its unit", "eval", False),
        Metric("eval/trait_rmse", "", "root mean squared error of the traits, in their units", "eval", False),
        Metric("eval/interval", "", "half the width of the interval of a score", "eval", False),
        Metric("eval/shuffled_change", "", "change of the score when sentences are in random order", "eval", False),
        Metric("eval/shuffled_lower", "fraction", "essays whose score is lower in random order", "eval", True),
    ]
)
