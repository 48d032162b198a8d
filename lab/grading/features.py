"""What is counted in an essay, as inputs of the linear part and of the network; fitted on the training essays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from lab import rng
from lab.grading.known_words import KnownWords, known_words_of
from lab.grading.ngrams import FAMILIES, ngram_bins
from lab.grading.surface import NAMES, surface_features
from lab.grading.text import Sentence, sentences_of, words_of

_LARGEST = 4.0  # standard deviations of a surface feature: one odd essay must not decide
_FOURIER = 1024  # random features that stand for a kernel
_WIDTH = 0.3 / len(NAMES)  # of the kernel exp(-width * squared distance) of standardized surface features
_LEAST = 2  # training essays with an n-gram: what one essay alone has says nothing about others
_COMMON = 0.05  # share of essays: bins of this many are multiplied as a dense matrix, which is faster


class Essay(NamedTuple):
    """A text and its sentences."""

    text: str
    sentences: list[Sentence]


def parsed(text: str) -> Essay:
    return Essay(text, sentences_of(text))


@dataclass(frozen=True, eq=False)
class Features:
    """known: words of the training essays. mean, deviation: float64 [F] of their surface features. frequency: float32
    [3 * 2**bits], the inverse document frequency of each bin of n-grams, 0 for one that says nothing; empty if there is
    no linear part."""

    known: KnownWords
    mean: np.ndarray
    deviation: np.ndarray
    frequency: np.ndarray

    @property
    def bits(self) -> int:
        return max(0, len(self.frequency) // len(FAMILIES)).bit_length() - 1

    def surface(self, essay: Essay) -> np.ndarray:
        """Standardized surface features float32 [F] of an essay that was not trained on."""
        return self.standardized(surface_features(essay.text, essay.sentences, self.known, own=False))

    def standardized(self, values: np.ndarray) -> np.ndarray:
        """Surface features float32 [..., F] from raw ones."""
        return np.clip((values - self.mean) / self.deviation, -_LARGEST, _LARGEST).astype(np.float32)

    def counted(self, essays: Sequence[Essay], surface: np.ndarray, *, own: bool = False) -> sparse.csr_matrix:
        """Inputs of the linear part float32 [N, W]: TF-IDF of n-grams, each family of norm 1, and Fourier features.

        surface: float32 [N, F]. The Fourier features stand for a Gaussian kernel over them (Rahimi and Recht 2007).
        """
        rows = (ngram_bins(essay.text, essay.sentences, self.known, self.bits, own=own) for essay in essays)
        bins = _matrix([self._weighted(*row) for row in rows], len(self.frequency))
        return sparse.hstack([bins, sparse.csr_matrix(_fourier(surface))], format="csr")

    def to_state(self) -> dict[str, Any]:
        """Plain values and tensors, of which `from_state` makes the same."""
        return {
            "words": list(self.known.uses),
            "uses": list(self.known.uses.values()),
            "function_words": sorted(self.known.function),
            "surface_mean": torch.from_numpy(self.mean),
            "surface_deviation": torch.from_numpy(self.deviation),
            "frequency": torch.from_numpy(self.frequency),
        }

    def _weighted(self, bins: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = (1.0 + np.log(counts)) * self.frequency[bins]
        kept = values > 0.0
        bins, values = bins[kept], values[kept]
        family = bins >> self.bits
        norms = np.sqrt(np.bincount(family, values**2, minlength=len(FAMILIES)))
        return bins, (values / norms[family]).astype(np.float32)


def from_state(state: Mapping[str, Any]) -> Features:
    uses = dict(zip(state["words"], (int(count) for count in state["uses"]), strict=True))
    known = KnownWords(uses, frozenset(state["function_words"]))
    return Features(known, *(state[name].numpy() for name in ("surface_mean", "surface_deviation", "frequency")))


def fit_features(essays: Sequence[Essay], bits: int | None) -> tuple[Features, np.ndarray]:
    """Features of training essays, and their standardized surface features float32 [N, F], in which an essay does not
    vouch for its own words. bits: of the n-gram bins, None for none."""
    known = known_words_of([[word.lower() for word in words_of(essay.sentences)] for essay in essays])
    values = np.stack([surface_features(essay.text, essay.sentences, known, own=True) for essay in essays])
    deviation = values.std(0)
    frequency = np.zeros(0, np.float32) if bits is None else _inverse_frequency(essays, known, bits)
    features = Features(known, values.mean(0), np.where(deviation > 0.0, deviation, 1.0), frequency)
    return features, features.standardized(values)


def gram(counted: sparse.csr_matrix) -> np.ndarray:
    """Inner products float64 [N, N] of the rows of inputs."""
    uses = np.bincount(counted.indices, minlength=counted.shape[1])
    common = uses > _COMMON * counted.shape[0]
    columns = counted.tocsc()
    dense = columns[:, common].toarray()
    rare = columns[:, ~common].tocsr()
    return (dense @ dense.T).astype(np.float64) + (rare @ rare.T).toarray()


def _inverse_frequency(essays: Sequence[Essay], known: KnownWords, bits: int) -> np.ndarray:
    uses = np.zeros(len(FAMILIES) << bits, np.int64)
    for essay in essays:
        uses[ngram_bins(essay.text, essay.sentences, known, bits, own=True)[0]] += 1
    return np.where(uses >= _LEAST, np.log((1 + len(essays)) / (1 + uses)) + 1.0, 0.0).astype(np.float32)


def _fourier(surface: np.ndarray) -> np.ndarray:
    """float32 [N, 1024] of norm about 1."""
    of_feature = torch.arange(_FOURIER)
    directions = rng.normal(0, int(rng.Stream.ESSAY), 0, torch.arange(len(NAMES))[:, None], of_feature)
    phases = 2.0 * np.pi * rng.uniform(0, int(rng.Stream.ESSAY), 1, of_feature)
    angles = torch.from_numpy(surface) @ (directions * np.sqrt(2.0 * _WIDTH)) + phases
    return (np.sqrt(2.0 / _FOURIER) * angles.cos()).numpy()


def _matrix(rows: Sequence[tuple[np.ndarray, np.ndarray]], width: int) -> sparse.csr_matrix:
    starts = np.cumsum([0, *(len(bins) for bins, _ in rows)])
    bins, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return sparse.csr_matrix((values, bins, starts), shape=(len(rows), width))
