"""What a progressive GAN measures while it trains; `gans.quality.catalogue` has what is measured of its pictures."""

from gans.quality.catalogue import CATALOGUE as QUALITY
from lab.run.metrics import Catalogue, Metric

CATALOGUE = QUALITY | Catalogue(
    [
        Metric("loss/critic", "", "the critic's loss, penalty included", "loss"),
        Metric("loss/generator", "", "the generator's loss", "loss"),
        Metric("loss/penalty", "", "gradient penalty within the critic's loss", "loss"),
        Metric("critic/real", "", "mean score of real images", "critic"),
        Metric("critic/fake", "", "mean score of generated images", "critic"),
        Metric("critic/real_sign", "", "mean sign of the scores of real images; near 1 is overfitting", "critic"),
        Metric("critic/gradient_norm", "", "norm of the critic's gradient", "critic"),
        Metric("generator/gradient_norm", "", "norm of the generator's gradient", "generator"),
        Metric("stage/resolution", "pixels", "resolution in training", "stage"),
        Metric("stage/alpha", "", "share of the newest resolution while it fades in", "stage"),
        Metric("stage/batch", "images", "images of one step", "stage"),
        Metric("stage/learning_rate", "", "learning rate of both networks", "stage"),
        Metric("stage/augment_probability", "", "probability of each augmentation", "stage"),
        Metric("speed/images_per_s", "1/s", "real images shown per second", "speed", True),
        Metric("speed/kimg_s", "s", "seconds per thousand images shown", "speed", False),
    ]
)
