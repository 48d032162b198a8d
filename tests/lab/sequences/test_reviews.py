"""The labels of made reviews follow from their sentences."""

import pytest

from lab.sequences.made import reviews as grammar
from lab.sequences.made.reviews import reviews

TAKES_BACK = set(grammar._NEGATIONS)


def opinion(sentence: str) -> int:
    """1, -1 or 0 for a sentence without an opinion, read by rules of its own: the last word of opinion stands unless it
    is negated or conceded.
    """
    for word in grammar._CONCESSIONS:
        sentence = sentence.partition(f" {word} ")[0]
    words = [word for word in sentence.split() if word in (*grammar._GOOD, *grammar._BAD)]
    if not words:
        return 0
    sign = 1 if words[-1] in grammar._GOOD else -1
    negated = any(f" {negation} {words[-1]}" in sentence for negation in grammar._NEGATIONS)
    return -sign if negated else sign


def test_a_label_is_what_its_sentences_say() -> None:
    for part in reviews():
        for pair in part[:1000]:
            signs = {opinion(sentence) for sentence in pair.input.split(" . ")} - {0}
            expected = "mixed" if len(signs) == 2 else "positive" if signs == {1} else "negative"
            assert pair.target == expected, pair.input


@pytest.mark.parametrize("first", [grammar._SUBJECTS, grammar._EXPECTATIONS])
def test_every_part_of_a_held_out_pair_is_trained_in_others(first: tuple[str, ...]) -> None:
    second = grammar._NEGATIONS if first is grammar._SUBJECTS else grammar._VERDICTS
    known, held = (grammar._pairs(first, second, held_out=flag) for flag in (False, True))
    assert held and not set(known) & set(held)
    for place in (0, 1):
        assert {pair[place] for pair in held} <= {pair[place] for pair in known}
