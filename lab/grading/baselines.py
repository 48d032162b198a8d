"""What simple methods reach on the same essays: the word count, surface features, and TF-IDF."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from lab.grading.features import gram, parsed
from lab.grading.known_words import known_words_of
from lab.grading.ridge import fit_ridge
from lab.grading.surface import surface_features
from lab.grading.text import words_of
from lab.grading.thresholds import quantile_grades

_MOST_TERMS = 50_000


class Baseline(NamedTuple):
    """predictions float64 [N] of test essays, of any scale, and their grades: by mapping the quantiles of the
    predictions onto those of the training scores."""

    predictions: np.ndarray
    grades: np.ndarray


def word_count(training: Sequence[str], scores: np.ndarray, test: Sequence[str]) -> Baseline:
    """More words, a higher score. training: texts, with scores [M]; test: texts [N]."""
    known, found = (np.array([len(words_of(parsed(text).sentences)) for text in texts]) for texts in (training, test))
    return Baseline(np.log1p(found), quantile_grades(found, known, scores))


def surface_ridge(training: Sequence[str], scores: np.ndarray, test: Sequence[str]) -> Baseline:
    """Ridge regression on standardized surface features."""
    essays, others = ([parsed(text) for text in texts] for texts in (training, test))
    known = known_words_of([[word.lower() for word in words_of(essay.sentences)] for essay in essays])
    own, found = (
        np.stack([surface_features(essay.text, essay.sentences, known, own=is_own) for essay in part])
        for part, is_own in ((essays, True), (others, False))
    )
    deviation = own.std(0)
    mean, deviation = own.mean(0), np.where(deviation > 0.0, deviation, 1.0)
    return _ridge(sparse.csr_matrix((own - mean) / deviation), scores, sparse.csr_matrix((found - mean) / deviation))


def tfidf_ridge(training: Sequence[str], scores: np.ndarray, test: Sequence[str]) -> Baseline:
    """Ridge regression on the TF-IDF of one and two words, and of three to five characters within words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    kinds = ({"ngram_range": (1, 2)}, {"analyzer": "char_wb", "ngram_range": (3, 5)})
    parts = []
    for options in kinds:
        terms = TfidfVectorizer(min_df=2, sublinear_tf=True, max_features=_MOST_TERMS, **options)
        parts.append((terms.fit_transform(training), terms.transform(test)))
    own, found = (sparse.hstack(part, format="csr") for part in zip(*parts, strict=True))
    return _ridge(own, scores, found)


BASELINES = {"word count": word_count, "surface ridge": surface_ridge, "TF-IDF ridge": tfidf_ridge}
"""Functions `(training texts, their scores, test texts) -> Baseline`."""


def _ridge(training: sparse.csr_matrix, scores: np.ndarray, test: sparse.csr_matrix) -> Baseline:
    mean = scores.mean()
    fitted = fit_ridge(gram(training), (scores - mean)[:, None])
    predictions = np.asarray(test @ (training.T @ fitted.dual))[:, 0] + mean
    return Baseline(predictions, quantile_grades(predictions, fitted.left_out[:, 0] + mean, scores))
