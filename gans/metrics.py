"""Metrics that every kind of GAN logs while it trains."""

from lab.run.metrics import Catalogue, Metric

TRAINING = Catalogue(
    [
        Metric("loss/discriminator", "", "discriminator loss, gradient penalty included", "loss"),
        Metric("loss/generator", "", "generator loss", "loss"),
        Metric("loss/penalty", "", "gradient penalty within the discriminator loss", "loss"),
        Metric("train/real_score", "", "mean discriminator score of real samples", "train"),
        Metric("train/fake_score", "", "mean discriminator score of generated samples", "train"),
        Metric("train/real_sign", "", "mean sign of the scores of real samples; near 1 is overfitting", "train"),
        Metric("train/discriminator_gradient_norm", "", "gradient norm of the discriminator", "train"),
        Metric("train/generator_gradient_norm", "", "gradient norm of the generator", "train"),
        Metric("train/learning_rate", "", "learning rate of the generator", "train"),
        Metric("train/samples_per_s", "1/s", "real samples shown per second", "train", True),
    ]
)
