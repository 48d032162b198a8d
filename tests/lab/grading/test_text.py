"""Sentences, words, and what is counted in them."""

import numpy as np
import pytest

from lab.grading.known_words import known_words_of
from lab.grading.ngrams import ngram_bins
from lab.grading.surface import NAMES, surface_features
from lab.grading.text import MOST_WORDS, script_of, sentences_of, words_of
from lab.grading.vocabulary import CASES, vocabulary_of

TEXT = 'He said: "Stop." I don’t know!\n\nNew, a paragraph… no end'


def test_sentences_keep_their_places_and_paragraphs() -> None:
    found = sentences_of(TEXT)
    assert [TEXT[one.start : one.end].strip() for one in found] == [
        'He said: "Stop."',
        "I don’t know!",
        "New, a paragraph…",
        "no end",
    ]
    assert [one.new_paragraph for one in found] == [True, False, True, False]
    assert found[1].tokens == ("I", "don't", "know", "!")


def test_a_text_without_full_stops_is_read_in_parts_that_lose_nothing() -> None:
    text = " ".join(f"word{'x' * (n % 7)}" for n in range(10_000))
    found = sentences_of(text)
    assert max(len(one.tokens) for one in found) == MOST_WORDS
    assert [word for one in found for word in one.tokens] == text.split()
    assert "".join(text[one.start : one.end] for one in found) == text


@pytest.mark.parametrize(
    ("text", "script"), [("a plain text", "LATIN"), ("простой текст", "CYRILLIC"), ("普通の文", "CJK"), ("1 2", "")]
)
def test_scripts(text: str, script: str) -> None:
    assert script_of(words_of(sentences_of(text))) == script


@pytest.mark.parametrize("text", ["", "...", "?!\n\n", "x", "你好", "a" * 5000, "\ud800 b", "👍 1 2"])
def test_anything_has_features(text: str) -> None:
    known = known_words_of([["a", "b"], ["b", "c"]])
    sentences = sentences_of(text)
    assert np.isfinite(surface_features(text, sentences, known, own=False)).all()
    bins, counts = ngram_bins(text, sentences, known, 8, own=False)
    assert (np.diff(bins) > 0).all() and (counts >= 1.0).all()


def test_a_training_essay_does_not_vouch_for_its_own_words() -> None:
    essays = [["the", "wird"], ["the", "cat"], ["the", "cat"]]
    known = known_words_of(essays)
    assert [known.others(word, own=True) for word in ("the", "wird", "cat")] == [2, 0, 1]
    assert [known.others(word, own=False) for word in ("the", "wird", "cat", "new")] == [3, 0, 2, 0]
    at = NAMES.index("words of no other essay")
    text = "the wird"
    assert surface_features(text, sentences_of(text), known, own=True)[at] == 0.5


def test_ngrams_tell_the_order_of_words_and_skeletons_do_not_tell_content_words() -> None:
    known = known_words_of([["the", "of", "is"]] * 4)

    def bins(text: str, family: int) -> set[int]:
        found, _ = ngram_bins(text, sentences_of(text), known, 16, own=False)
        return {int(bin) for bin in found if bin >> 16 == family}

    assert bins("the cat is here", 0) != bins("is the cat here", 0)
    assert bins("the walking of", 2) == bins("the swimming of", 2) != bins("the walked of", 2)


def test_unknown_words_share_an_embedding_with_words_of_their_ending() -> None:
    vocabulary = vocabulary_of([["walking", "walking", "walking", "Cat", "cat", "cat", "once"]], 10, 1000)
    assert vocabulary.words == ("cat", "walking")
    ids = vocabulary.tokens(["walking", "flying", "swimming", "cat", "CAT", "Cat", "zebra"]) // CASES
    assert ids[1] == ids[2] == vocabulary.ending_of()[ids[0]] != ids[0]
    assert ids[3] == ids[4] == ids[5] != ids[6]
    assert (vocabulary.tokens(["cat", "Cat", "CAT", "I", ","]) % CASES).tolist() == [0, 1, 2, 1, 0]
