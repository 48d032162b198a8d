"""Metrics that every kind of GAN logs, and the metrics of an evaluation with their floors."""

from collections.abc import Sequence

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


def evaluation_metrics(rows: Sequence[tuple[str, str, str, bool | None]], floor: str) -> list[Metric]:
    """Metrics eval/NAME of rows (name, unit, meaning, higher is better), then eval/NAME_floor; floor: its meaning."""
    return [Metric(f"eval/{name}", unit, meaning, "eval", better) for name, unit, meaning, better in rows] + [
        Metric(f"eval/{name}_floor", unit, f"{meaning}; {floor}", "eval") for name, unit, meaning, _ in rows
    ]
