"""What a supervised experiment measures."""

from lab.metrics import Catalogue, Metric

CATALOGUE = Catalogue(
    [
        Metric("loss/classification", "nats", "cross-entropy of the training batches", "loss", False),
        Metric("speed/images_per_s", "1/s", "real images shown per second", "speed", True),
        Metric("eval/accuracy", "share", "test images classified correctly", "eval", True),
        Metric("eval/loss", "nats", "cross-entropy of the test images", "eval", False),
    ]
)
