"""Essays as inputs of the network: tokens, surface features and the scores of the linear part."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab import rng
from lab.grading.config import NetworkConfig
from lab.grading.features import Essay, Features, fit_features, from_state, gram
from lab.grading.network import EssayBatch
from lab.grading.ridge import fit_ridge
from lab.grading.surface import NAMES
from lab.grading.text import script_of, words_of
from lab.grading.vocabulary import Vocabulary, vocabulary_of

_log = logging.getLogger(__name__)
_BLOCK = 256  # essays whose counted features are held at once
MOST_SOLVED = 6000
"""Essays that the closed form is computed for: its matrix has their number squared. The others are predicted."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """N essays. tokens: int32 [S, W] each, 0 after the end of a sentence; opens: float32 [S] each, see `EssayBatch`;
    surface float32 [N, F]; base float32 [N, O], standardized scores of the linear part, 0 without one."""

    tokens: list[np.ndarray]
    opens: list[np.ndarray]
    surface: np.ndarray
    base: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(
        self, rows: Sequence[int] | np.ndarray, targets: np.ndarray, orders: Mapping[int, np.ndarray] | None = None
    ) -> EssayBatch:
        """A batch on the CPU without needless padding. targets: [B, O]; orders: of the sentences of rows whose
        sentences are moved, by place in the batch; paragraphs keep their places."""
        parts = [self.tokens[row] for row in rows]
        count = max(len(part) for part in parts)
        tokens = np.zeros((len(rows), count, max(part.shape[1] for part in parts)), np.int64)
        opens = np.zeros((len(rows), count), np.float32)
        for at, (row, part) in enumerate(zip(rows, parts, strict=True)):
            order = None if orders is None else orders.get(at)
            tokens[at, : len(part), : part.shape[1]] = part if order is None else part[order]
            opens[at, : len(part)] = self.opens[row]
        shuffled = np.zeros(len(rows), np.float32)
        shuffled[list(orders or {})] = 1.0
        surface, base = self.surface[rows], self.base[rows]
        arrays = (tokens, (tokens > 0).sum(2), opens, surface, base, targets.astype(np.float32), shuffled)
        return EssayBatch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


@dataclass(frozen=True, eq=False)
class Encoder:
    """weights: of the linear part, float32 [inputs, O]; None without one. longest, shortest: words of the longest and
    the shortest training essay; script: of most of their letters."""

    features: Features
    vocabulary: Vocabulary
    weights: np.ndarray | None
    scores: int
    max_sentences: int
    longest: int
    shortest: int
    script: str

    def encode(self, essays: Sequence[Essay]) -> Encoded:
        """Essays that were not trained on."""
        surface = np.stack([self.features.surface(essay) for essay in essays])
        base = np.zeros((len(essays), self.scores), np.float32)
        if self.weights is not None:
            for start in range(0, len(essays), _BLOCK):
                rows = slice(start, start + _BLOCK)
                base[rows] = self.features.counted(essays[rows], surface[rows]) @ self.weights
        return self._with_tokens(essays, surface, base)

    def to_state(self) -> dict[str, Any]:
        return {
            "features": self.features.to_state(),
            "vocabulary": list(self.vocabulary.words),
            "weights": None if self.weights is None else torch.from_numpy(self.weights),
            "longest": self.longest,
            "shortest": self.shortest,
            "script": self.script,
        }

    def _with_tokens(self, essays: Sequence[Essay], surface: np.ndarray, base: np.ndarray) -> Encoded:
        tokens, opens = [], []
        for essay in essays:
            sentences = essay.sentences[: self.max_sentences]
            rows = [self.vocabulary.tokens(sentence.tokens) for sentence in sentences]
            padded = np.zeros((max(1, len(rows)), max(1, *map(len, rows)) if rows else 1), np.int32)
            for at, row in enumerate(rows):
                padded[at, : len(row)] = row
            tokens.append(padded)
            opens.append(np.array([s.new_paragraph for s in sentences] or [False], np.float32))
        return Encoded(tokens, opens, surface, base)


def fit_encoder(essays: Sequence[Essay], targets: np.ndarray, config: NetworkConfig) -> tuple[Encoder, Encoded]:
    """Fit to training essays and their standardized scores float64 [N, O], NaN where missing.

    The base of each training essay is the prediction of a linear part fitted to all others: what the linear part
    predicts for essays that it was fitted to is closer to their scores than what it predicts for further ones, and the
    network would learn to correct the wrong errors.
    """
    features, surface = fit_features(essays, config.ngram_bits if config.linear else None)
    words = [words_of(essay.sentences) for essay in essays]
    vocabulary = vocabulary_of(
        ([token for sentence in essay.sentences for token in sentence.tokens] for essay in essays),
        config.vocabulary,
        config.endings,
    )
    script = script_of([word for each in words for word in each[:50]])
    lengths = [len(each) for each in words]
    base, weights = np.zeros(targets.shape, np.float32), None
    if config.linear:
        weights, base = _fit_linear(features, essays, surface, np.nan_to_num(targets))
    encoder = Encoder(
        features, vocabulary, weights, targets.shape[1], config.max_sentences, max(lengths), min(lengths), script
    )
    return encoder, encoder._with_tokens(essays, surface, base)


def encoder_from(state: Mapping[str, Any], config: NetworkConfig, scores: int) -> Encoder:
    """The encoder of `Encoder.to_state`."""
    features = from_state(state["features"])
    weights = None if state["weights"] is None else state["weights"].numpy()
    vocabulary = Vocabulary(tuple(state["vocabulary"]), config.endings)
    if features.mean.shape != (len(NAMES),) or (weights is None) == config.linear:
        raise ValueError("other features")
    longest, shortest, script = int(state["longest"]), int(state["shortest"]), str(state["script"])
    return Encoder(features, vocabulary, weights, scores, config.max_sentences, longest, shortest, script)


def random_order(count: int, seed: int, number: int) -> np.ndarray:
    """A random order int64 [count] of the sentences of example `number`."""
    bits: Tensor = rng.random_bits(seed, int(rng.Stream.ESSAY), 2, number, torch.arange(count))
    return bits.argsort(stable=True).numpy()


def _fit_linear(
    features: Features, essays: Sequence[Essay], surface: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights float32 [inputs, O], and for each essay the scores float32 [N, O] by a fit without it."""
    counted = features.counted(essays, surface, own=True)
    solved = counted[:MOST_SOLVED]
    if solved.shape[0] < counted.shape[0]:
        _log.warning(f"the linear part is fitted to {MOST_SOLVED:,} of the {counted.shape[0]:,} training essays")
    ridge = fit_ridge(gram(solved), targets[:MOST_SOLVED])
    weights = np.asarray(solved.T @ ridge.dual, np.float32)
    others = np.asarray(counted[MOST_SOLVED:] @ weights)
    return weights, np.concatenate([ridge.left_out, others]).astype(np.float32)
