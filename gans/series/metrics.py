"""What a series GAN measures."""

from lab.run.metrics import Catalogue, Metric

_SCORES = [
    ("discriminative", "share", "|accuracy - 1/2| of a classifier of real and generated series", False),
    ("predictive", "deviations", "error on real series of a predictor trained on generated ones", False),
    ("autocorrelation", "", "mean difference of autocorrelations up to half the length", False),
    ("correlation", "", "mean difference of the correlations of pairs of channels", False),
    ("marginal", "deviations", "Wasserstein distance of the values at each step", False),
]

CATALOGUE = Catalogue(
    [
        Metric("loss/critic", "", "the critic's loss, penalty included", "loss"),
        Metric("loss/generator", "", "the generator's loss", "loss"),
        Metric("loss/penalty", "", "gradient penalty within the critic's loss", "loss"),
        Metric("critic/real", "", "mean score of real series", "critic"),
        Metric("critic/fake", "", "mean score of generated series", "critic"),
        Metric("critic/gradient_norm", "", "norm of the critic's gradient", "critic"),
        Metric("generator/gradient_norm", "", "norm of the generator's gradient", "generator"),
        Metric("training/learning_rate", "", "learning rate of the generator", "training"),
        Metric("speed/series_per_s", "1/s", "real series shown per second", "speed", True),
        *(Metric(f"series/{name}", unit, meaning, "series", better) for name, unit, meaning, better in _SCORES),
        *(
            Metric(f"series/{name}_floor", unit, f"{meaning}; real ones in the place of the generated", "series")
            for name, unit, meaning, _ in _SCORES
        ),
    ]
)
