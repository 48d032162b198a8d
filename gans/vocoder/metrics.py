"""Metrics of a vocoder."""

from gans.metrics import TRAINING
from lab.run.metrics import Catalogue, Metric

_DISTANCES = [
    ("mcd_db", "dB", "mel-cepstral distortion of held-out recordings made again from their spectrograms"),
    ("spectral_convergence", "", "relative error of the magnitudes of the spectrum that the input was taken from"),
    ("spectral_distance", "", "spectral convergence plus mean difference of log magnitudes, over network.resolutions"),
]

CATALOGUE = TRAINING | Catalogue(
    [
        Metric("loss/spectral", "", "multi-resolution spectral distance of training windows, unweighted", "loss"),
        *(Metric(f"eval/{name}", unit, meaning, "eval", False) for name, unit, meaning in _DISTANCES),
        *(
            Metric(f"eval/{name}_griffin_lim", unit, f"{meaning}; of Griffin-Lim", "eval", False)
            for name, unit, meaning in _DISTANCES
        ),
        Metric(
            "eval/real_time_factor", "", "seconds of computing per second of speech, `lab eval` alone", "eval", False
        ),
    ]
)
