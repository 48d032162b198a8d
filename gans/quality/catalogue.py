"""The names of what is measured of generated pictures."""

from lab.run.metrics import Catalogue, Metric

_MEASURED = [
    ("swd", "", "sliced Wasserstein distance x 1000, mean over levels", False),
    *((f"swd_{2**k}", "", f"the same at {2**k} x {2**k}", False) for k in range(4, 11)),
    ("ms_ssim", "", "similarity of random pairs of samples; above that of real pairs, variety is missing", None),
    ("frechet", "", "Frechet distance of features", False),
    ("kernel", "", "kernel distance of features", False),
    ("precision", "share", "samples that lie among the real ones", True),
    ("recall", "share", "real ones that lie among the samples", True),
    ("class_share_min", "share", "samples of the rarest class", None),
    ("class_share_max", "share", "samples of the most frequent class", None),
]

CATALOGUE = Catalogue(
    [Metric(f"quality/{name}", unit, meaning, "quality", better) for name, unit, meaning, better in _MEASURED]
    + [Metric("quality/images", "images", "real images shown when the graded pictures were made", "quality")]
    + [
        Metric(f"quality/{name}_floor", unit, f"{meaning}, of real pictures against other real ones", "quality")
        for name, unit, meaning, _ in _MEASURED
    ]
)
