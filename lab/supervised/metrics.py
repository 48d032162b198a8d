"""What a supervised experiment measures."""

from lab.run.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/classification", "nats", "cross-entropy of the training batches", "loss", False),
        Metric("loss/regression", "", "squared error of the batches over the targets' variance", "loss", False),
        Metric("loss/denoising", "", "squared error of the cleaned batches, of a range of 1", "loss", False),
        Metric("loss/reconstruction", "", "squared error of the rebuilt batches, of a range of 1", "loss", False),
        Metric("fit/gradient_norm", "", "length of the gradient before clipping, mean over the steps", "fit"),
        Metric("fit/learning_rate", "", "learning rate of the last step", "fit"),
        Metric("speed/images_per_s", "1/s", "real images shown per second", "speed", True),
        Metric("eval/accuracy", "share", "test examples classified correctly", "eval", True),
        Metric("eval/balanced_accuracy", "share", "the same, mean over the classes", "eval", True),
        Metric("eval/loss", "", "the loss of the test set: cross-entropy in nats, or squared error", "eval", False),
        Metric("eval/rmse", "", "root of the mean squared error, in the target's unit", "eval", False),
        Metric("eval/r2", "share", "variance of the test targets that is explained", "eval", True),
        Metric("eval/psnr_db", "dB", "peak signal-to-noise ratio of cleaned pictures", "eval", True),
        Metric("eval/psnr_noisy_db", "dB", "peak signal-to-noise ratio before cleaning", "eval"),
        Metric("eval/auroc", "share", "anomalies that are rebuilt worse than normal pictures, of pairs", "eval", True),
    ]
)

GRADES = {
    "classification": ("eval/accuracy", "eval/balanced_accuracy", "eval/loss"),
    "regression": ("eval/r2", "eval/rmse", "eval/loss"),
    "denoising": ("eval/psnr_db", "eval/loss"),
    "reconstruction": ("eval/auroc", "eval/loss"),
}
"""What a run of each task can be best at; "eval/auroc" only where `task.normal` says what is no anomaly."""
