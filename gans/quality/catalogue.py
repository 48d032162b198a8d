"""Metrics of a set of generated images."""

from gans.metrics import evaluation_metrics
from lab.run.metrics import Catalogue, Metric

_METRICS = [
    ("swd", "", "sliced Wasserstein distance x 1000, mean over resolutions", False),
    *((f"swd_{2**k}", "", f"sliced Wasserstein distance x 1000 at {2**k} x {2**k}", False) for k in range(4, 11)),
    ("ms_ssim", "", "MS-SSIM of random pairs of samples; above that of real pairs, diversity is missing", None),
    ("frechet_distance", "", "Frechet distance of features (FID with Inception features)", False),
    ("kernel_distance", "", "kernel distance of features (KID with Inception features)", False),
    ("precision", "fraction", "samples within the manifold of real images", True),
    ("recall", "fraction", "real images within the manifold of samples", True),
    ("class_fraction_min", "fraction", "samples of the rarest class", None),
    ("class_fraction_max", "fraction", "samples of the most frequent class", None),
]

CATALOGUE = Catalogue(
    [
        *evaluation_metrics(_METRICS, "of real images against other real images"),
        Metric("eval/images_shown", "images", "real images shown to the evaluated generator", "eval"),
    ]
)
