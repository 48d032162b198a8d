"""Words become phones by the lexicon, else by rules for letters that are learned from it."""

import pytest

from lab.speech import pronounce
from lab.speech.letters import learn, parse_rules
from lab.speech.lexicon import in_sentences, made_up_words, split_by_word
from lab.speech.phones import PAUSE, from_arpabet
from lab.speech.pronounce import Pronouncer, pieces
from tests.lab.small_speech import LEXICON

# Every letter has one sound here, but c before e, i and y, a silent last e, and sh.
REGULAR = {"a": "ae", "b": "b", "c": "k", "d": "d", "e": "eh", "i": "ih", "n": "n", "o": "aa", "s": "s", "t": "t"}


def regular(word: str) -> tuple[str, ...]:
    found = []
    for place, letter in enumerate(word):
        after = word[place + 1 : place + 2]
        if letter == "e" and not after and len(word) > 2:
            continue
        if letter == "c" and after in ("e", "i"):
            found.append("s")
        else:
            found.append(REGULAR[letter])
    return tuple(found)


WORDS = [
    first + second + third + last for first in "bcdnst" for second in "aeio" for third in "bcdnst" for last in "aeo"
]


@pytest.fixture(autouse=True)
def _without_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronounce, "dictionary", dict)


def test_rules_are_found_from_words_alone() -> None:
    rules = learn({word: regular(word) for word in WORDS[::2]})
    unseen = WORDS[1::2]
    wrong = [word for word in unseen if rules.pronounce(word) != regular(word)]
    assert not wrong
    assert rules.pronounce("cedate") == regular("cedate")
    assert parse_rules(rules.text()) == rules


def test_a_rule_is_kept_only_where_fewer_letters_say_otherwise() -> None:
    rules = learn({word: regular(word) for word in WORDS})
    assert len(rules.phones) < 40  # of thousands of contexts
    assert rules.phones["c"] == ("k",) and rules.phones["ce"] == ("s",)


def test_an_empty_lexicon_and_unknown_letters_are_silent() -> None:
    assert learn({}).pronounce("cat") == ()
    assert learn(LEXICON).pronounce("é1 ") == ()


def test_phones_of_a_sentence_are_split_by_word() -> None:
    isolated = {"the": ("dh", "ax"), "apple": ("ae", "p", "ax", "l"), "is": ("ih", "z"), "a": ("ey",)}
    spoken = [PAUSE, "dh", "iy", "ae", "p", "l", PAUSE, "ih", "z", "ax", "ae", "p", "ax", "l", PAUSE]
    words = [isolated[word] for word in ("the", "apple", "is", "a", "apple")]
    parts = split_by_word([phone for phone in spoken if phone != PAUSE], words)
    assert parts == [("dh", "iy"), ("ae", "p", "l"), ("ih", "z"), ("ax",), ("ae", "p", "ax", "l")]
    found = in_sentences([("the apple, is a apple.", spoken)], isolated)
    assert found["the"] == ("dh", "iy") and found["a"] == ("ax",)


def test_made_up_words_follow_the_seed() -> None:
    words = ["garden", "carden", "harden", "warned", "barn", "yarn"]
    one = made_up_words(words, 10, seed=3)
    assert one == made_up_words(words, 10, seed=3) and one[:5] == made_up_words(words, 5, seed=3)
    assert not set(one) & set(words) and len(set(one)) == len(one)


def test_sentences_have_pauses_at_punctuation_and_the_long_the_before_vowels() -> None:
    pronouncer = Pronouncer(LEXICON | {"apple": ("ae", "p", "ax", "l")}, learn(LEXICON))
    assert pronouncer.phones("the cat, the apple.") == [
        *(PAUSE, "dh", "ax", "k", "ae", "t", PAUSE, "dh", "iy", "ae", "p", "ax", "l", PAUSE),
    ]
    assert pronouncer.phones("") == [] and pronouncer.phones(". ,") == []


def test_possessives_and_unknown_words() -> None:
    pronouncer = Pronouncer(LEXICON, learn(LEXICON))
    assert pronouncer.word("cat's")[-1] == "s" and pronouncer.word("men's")[-1] == "z"
    assert pronouncer.word("us's")[-2:] == ("ax", "z")
    assert pronouncer.word("mens'") == ("m", "eh", "n", "s")  # by the rules: the stem is no word
    assert pronouncer.word("sen") == ("s", "eh", "n")


def test_a_stressed_dictionary_becomes_phones() -> None:
    assert from_arpabet(["HH", "AH0", "L", "OW1"]) == ("hh", "ax", "l", "ow")
    assert from_arpabet(["AH1", "P"]) == ("ah", "p")


def test_a_text_is_cut_into_pieces_that_hold_all_its_words() -> None:
    text = "ten men. " + "a cat, " * 40 + "end! " + "mat " * 95
    parts = list(pieces(text))
    assert " ".join(parts).split() == text.split()
    assert parts[0] == "ten men." and max(len(part.split()) for part in parts) <= 30
    assert list(pieces("")) == [] and list(pieces(". . ?")) == []
