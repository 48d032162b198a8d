"""Metrics of a progressive GAN; `gans.quality.catalogue` lists those of its evaluation."""

from gans.metrics import TRAINING
from gans.quality.catalogue import CATALOGUE as QUALITY
from lab.run.metrics import Catalogue, Metric

CATALOGUE = (
    TRAINING
    | QUALITY
    | Catalogue(
        [
            Metric("stage/resolution", "pixels", "resolution in training", "stage"),
            Metric("stage/alpha", "", "weight of the newest resolution while it fades in", "stage"),
            Metric("stage/batch_size", "images", "images in one step", "stage"),
            Metric("stage/augment_probability", "", "probability of each augmentation", "stage"),
            Metric("time/kimg_s", "s", "seconds per 1000 real images shown", "time", False),
        ]
    )
)
