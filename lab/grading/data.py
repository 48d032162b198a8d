"""The essays of an experiment as the network reads them: parts, scale of the scores, and encoded texts."""

from typing import NamedTuple

import numpy as np

from lab.errors import UserError
from lab.grading.config import DataConfig, GradingConfig
from lab.grading.encoding import Encoded, Encoder, fit_encoder
from lab.grading.essays import EssaySet, open_essays
from lab.grading.features import parsed
from lab.grading.folds import Split, split


class Scale(NamedTuple):
    """Means and standard deviations float64 [O] of the scores of the training essays."""

    mean: np.ndarray
    deviation: np.ndarray

    def standardize(self, scores: np.ndarray) -> np.ndarray:
        return (scores - self.mean) / self.deviation

    def restore(self, scores: np.ndarray) -> np.ndarray:
        """Float64 [N, O] in the unit of the file."""
        return scores.astype(np.float64) * self.deviation + self.mean


class GradingData(NamedTuple):
    """essays: all. parts: their numbers. fitted: numbers of training and validation essays, in this order. encoded and
    scores (standardized float64 [N, O]) of these; their encoder and scale."""

    essays: EssaySet
    parts: Split
    fitted: np.ndarray
    encoder: Encoder
    encoded: Encoded
    scores: np.ndarray
    scale: Scale

    @property
    def grades(self) -> list[np.ndarray]:
        """The different standardized values of each score, increasing, float64 [G] each."""
        return [np.unique(column[np.isfinite(column)]) for column in self.scores.T]

    @property
    def training(self) -> np.ndarray:
        """Rows of `encoded` that the network trains on."""
        return np.arange(len(self.parts.training))

    @property
    def validation(self) -> np.ndarray:
        return np.arange(len(self.parts.training), len(self.fitted))


def prepare(config: GradingConfig) -> GradingData:
    """Read the essays, fit features and the linear part. Raises UserError."""
    essays = open_essays(config.data, config.seed)
    parts = split(essays, config.data)
    fitted = np.concatenate([parts.training, parts.validation])
    scale = _scale(essays, fitted)
    scores = scale.standardize(essays.scores[fitted])
    encoder, encoded = fit_encoder([parsed(essays.texts[index]) for index in fitted], scores, config.network)
    return GradingData(essays, parts, fitted, encoder, encoded, scores, scale)


def check_same_data(config: DataConfig, essays: EssaySet, fingerprint: str) -> None:
    """Raise UserError unless the fingerprint is that of the essays of the run."""
    if essays.fingerprint != fingerprint:
        name = config.source or essays.source
        raise UserError(f"{name} is not the data this run was trained on: put the old data back")


def _scale(essays: EssaySet, fitted: np.ndarray) -> Scale:
    scores = essays.scores[fitted]
    for column, name in zip(scores.T, essays.names, strict=True):
        if not np.isfinite(column).any():
            raise UserError(f"{essays.source}: no training essay has the trait {name!r}; leave it out of data.traits")
    deviation = np.nanstd(scores, 0)
    if deviation[0] == 0.0:
        raise UserError(f"{essays.source}: all training essays have the score {scores[0, 0]:g}; use another data.fold")
    return Scale(np.nanmean(scores, 0), np.where(deviation > 0.0, deviation, 1.0))
