"""Baselines of text classification and of intents and slots, fitted to the same training texts as the network."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

from lab.sequences.files import FileData
from lab.sequences.pair import Pair
from lab.sequences.slots import OUTSIDE, frame_metrics
from lab.sequences.vocabulary import split_tokens


def baselines_of(data: FileData, *, intents: bool) -> dict[str, Mapping[str, float]]:
    """Metrics of the test examples by the name of the method."""
    train, test = data.train_pairs, data.test_pairs
    if not intents:
        labels, true = ([" ".join(pair.target.split()) for pair in pairs] for pairs in (train, test))
        found = {
            "most frequent label": [Counter(labels).most_common(1)[0][0]] * len(test),
            "TF-IDF, words": _linear(train, labels, test, longest=1),
            "TF-IDF, words and pairs": _linear(train, labels, test, longest=2),
        }
        return {name: {"eval/exact_match": _share(answers, true)} for name, answers in found.items()}
    true_tags = [pair.target.split() for pair in test]
    answers = _linear(train, [pair.target.split()[-1] for pair in train], test, longest=2)
    tags = [[*row, intent] for row, intent in zip(_majority_tags(train, test), answers, strict=True)]
    return {
        "TF-IDF intent, most frequent tag of a word": {
            "eval/exact_match": _share(tags, true_tags),
            **frame_metrics(tags, true_tags),
        }
    }


def _linear(train: Sequence[Pair], labels: Sequence[str], test: Sequence[Pair], *, longest: int) -> list[str]:
    """Labels of test texts by logistic regression on TF-IDF of sequences of up to `longest` words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(set(labels)) == 1:
        return [labels[0]] * len(test)
    # Words in small letters without punctuation, as an open vocabulary reads them.
    vectors = TfidfVectorizer(
        ngram_range=(1, longest),
        lowercase=False,
        token_pattern=None,
        tokenizer=partial(split_tokens, words=True, is_open=True),
        sublinear_tf=True,
    )
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=1000))
    model.fit([pair.input for pair in train], list(labels))
    return [str(label) for label in model.predict([pair.input for pair in test])]


def _majority_tags(train: Sequence[Pair], test: Sequence[Pair]) -> list[list[str]]:
    """The most frequent tag of every word in training, outside for others."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in train:
        for word, tag in zip(split_tokens(pair.input, True, True), pair.target.split(), strict=False):
            counts[word][tag] += 1
    best = {word: found.most_common(1)[0][0] for word, found in counts.items()}
    return [[best.get(word, OUTSIDE) for word in split_tokens(pair.input, True, True)] for pair in test]


def _share(found: Sequence[object], true: Sequence[object]) -> float:
    return sum(one == other for one, other in zip(found, true, strict=True)) / len(true)
