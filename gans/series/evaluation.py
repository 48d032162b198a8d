"""Metrics of generated series, beside the same metrics of real series."""

from torch import Tensor

from gans.series.config import SeriesEvaluateConfig as ScoreConfig
from gans.series.distances import autocorrelation_distance, correlation_distance, marginal_distance
from gans.series.trained_scores import discriminative_score, predictive_score
from lab.train.device import Device

LEAST = 32  # held-out series; metrics of fewer are not meaningful


class SeriesMetrics:
    """Compares generated series with `held_out`, [N, T, C].

    The floor is the metric of `training`, [N, T, C], real series that the generator was trained on. All are
    standardised and on the CPU.
    """

    def __init__(self, held_out: Tensor, training: Tensor, config: ScoreConfig, seed: int, device: Device) -> None:
        self._held_out, self._training = held_out, training
        self._config, self._seed, self._device = config, seed, device
        self._floor: dict[str, float] | None = None

    def evaluate(self, generated: Tensor) -> dict[str, float]:
        """Metrics named eval/* of as many generated series, [N, T, C] on the CPU."""
        real, config, seed, device = self._held_out, self._config, self._seed, self._device
        return {
            "eval/discriminative_score": discriminative_score(real, generated, config, seed, device),
            "eval/predictive_score": predictive_score(real, generated, config, seed, device),
            "eval/autocorrelation_distance": autocorrelation_distance(real, generated, real.shape[1] // 2),
            "eval/correlation_distance": correlation_distance(real, generated),
            "eval/marginal_distance": marginal_distance(real, generated),
        }

    def floor(self) -> dict[str, float]:
        """The metrics of real series, named eval/*_floor."""
        if self._floor is None:
            self._floor = {f"{name}_floor": value for name, value in self.evaluate(self._training).items()}
        return self._floor
