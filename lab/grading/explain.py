"""The grade of one essay, and the sentences that moved it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from lab.grading.ensemble import Ensemble
from lab.grading.grader import Grader
from lab.grading.text import Sentence, is_word, script_of, sentences_of, words_of

_SCRIPT_WORDS = 200  # that the script is found from


class SentenceEffect(NamedTuple):
    """text; attention: share of the network's attention, 0 for a sentence that it does not read; effect: the score
    minus that of the essay without the sentence (occlusion), in units of the score."""

    text: str
    attention: float
    effect: float


def records(grader: Ensemble, texts: Sequence[str]) -> list[dict[str, Any]]:
    """For each text the grade, the estimate that it is cut from, the interval, the traits and the number of words."""
    predictions = grader.predict(texts)
    grades = grader.thresholds.grade(predictions[:, 0])
    return [
        {
            "score": float(grade),
            "estimate": float(scores[0]),
            "interval": list(grader.interval(float(scores[0]))),
            "traits": dict(zip(grader.names[1:], scores[1:].tolist(), strict=True)),
            "words": len(words_of(sentences_of(text))),
        }
        for text, grade, scores in zip(texts, grades, predictions, strict=True)
    ]


def sentence_effects(grader: Ensemble, text: str, most: int) -> list[SentenceEffect]:
    """The sentences of a text in order, the first `most` of them."""
    sentences = sentences_of(text)[:most]
    without = [text[: one.start] + text[one.end :].lstrip(" ") for one in sentences]
    scores = grader.predict([text, *without])[:, 0]
    attention = np.mean([_attention(one, text, len(sentences)) for one in grader.graders], 0)
    return [
        SentenceEffect(_piece(text, one), float(share), float(scores[0] - score))
        for one, share, score in zip(sentences, attention, scores[1:], strict=True)
    ]


def input_warnings(grader: Ensemble, text: str) -> list[str]:
    """Reasons not to rely on the grade of a text, a line each."""
    encoder = grader.graders[0].encoder
    sentences = sentences_of(text)
    words = words_of(sentences)
    found = []
    script = script_of(words[:_SCRIPT_WORDS])
    if script != encoder.script:
        found.append(
            f"its letters are {script.lower()}, those of the training essays {encoder.script.lower()}: the score means "
            "nothing"
        )
    if len(words) > encoder.longest:
        found.append(f"it has {len(words):,} words, more than the {encoder.longest:,} of the longest training essay")
    if len(words) < encoder.shortest:
        found.append(f"it has {len(words):,} words, fewer than the {encoder.shortest:,} of the shortest training essay")
    if len(sentences) > encoder.max_sentences:
        found.append(
            f"the network reads {encoder.max_sentences} of its {len(sentences):,} sentences; the linear part counts all"
        )
    unknown = sum(encoder.features.known.others(word.lower(), own=False) == 0 for word in words if is_word(word))
    if script == encoder.script and unknown > len(words) / 2:
        found.append(f"{unknown:,} of its {len(words):,} words are in none of the training essays")
    return found


@torch.no_grad()
def _attention(grader: Grader, text: str, count: int) -> np.ndarray:
    """Shares float64 [count] of the sentences."""
    encoded = grader.encode([text])
    batch = encoded.batch([0], np.zeros((1, len(grader.names)))).to(grader.device)
    shares = grader.network(batch).sentences[0].double().cpu().numpy()[:count]
    return np.pad(shares, (0, count - len(shares)))


def _piece(text: str, sentence: Sentence) -> str:
    return " ".join(text[sentence.start : sentence.end].split())
