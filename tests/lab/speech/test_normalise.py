"""Texts are read out as people say them, and what cannot be read is named."""

import logging
import re

import pytest

from lab.speech.normalise import normalise, spoken
from lab.speech.numbers_in_words import cardinal, ordinal, year

READ = {
    "Dr. Smith paid $12.50 on 3/4/1999.": "doctor smith paid twelve dollars and fifty cents on march fourth, nineteen "
    "ninety nine.",
    "In 1999 and 2007, but 1,204,567!": "in nineteen ninety nine and two thousand seven, but one million two hundred "
    "four thousand five hundred sixty seven!",
    "3.14 of the 21st": "three point one four of the twenty first",
    "5 Main St. near St. Paul": "five main street near saint paul",
    "The U.S. and the NBA, not NATO": "the u s and the n b ay, not nato",
    "50% of £3.5 million at -5 °C": "fifty percent of three point five million pounds at minus five degrees celsius",
    "The 1990s and the 80's": "the nineteen nineties and the eighties",
    "1/2, 3/4, pages 3-5": "one half, three quarters, pages three to five",
    "call 555-123-4567": "call five five five, one two three, four five six seven",
    "Henry VIII and I": "henry eight and i",
    "World War I, World War II": "world war one, world war two",
    "at 7:05pm, 9:00 and 10:30 a.m.": "at seven oh five p m, nine o'clock and ten thirty ay m",
    "July 4, 1776": "july fourth, seventeen seventy six,",
    "2024-05-06": "may sixth, twenty twenty four,",
    "$1, $0.05 and $1.01": "one dollar, five cents and one dollar and one cent",
    "It cost 5€, 2.50 £ and 3 million $.": "it cost five euros, two pounds and fifty pence and three million dollars.",
    "5 km in 1 kg": "five kilometers in one kilogram",
    "me@example.com": "me at example dot com",
    "R&D = 5 > 3": "r and d equals five greater than three",
    "naïve Straße": "naive strasse",
    "don't 'quote' rock 'n' roll": "don't quote rock n roll",
    "this -- that... end": "this, that, end",
    "He said no. No. 5 is apt. See fig. 2": "he said no. number five is apt. see figure two",
    "Al. met Ann et al. at 5 pm, 11 AM and 3PM": "al. met ann et others at five p m, eleven ay m and three p m",
    "Cats etc. At 9:30pm. At 5 p.m. I left.": "cats et cetera. at nine thirty p m. at five p m. i left.",
    "Born on May 5, 1999. It rained!": "born on may fifth, nineteen ninety nine. it rained!",
    "HELLO WORLD": "hello world",
    "007": "zero zero seven",
    "": "",
    "?!": "",
}


@pytest.mark.parametrize("text", READ)
def test_a_text_is_read_as_people_say_it(text: str) -> None:
    assert normalise(text).text == READ[text]


def test_a_normalised_text_stays_the_same() -> None:
    for words in READ.values():
        assert normalise(words).text == words.strip()


@pytest.mark.parametrize("text", ["x" * 100_000, "1" * 5000, "\x00\ud800", "$" * 99, "a.b." * 999, "9" * 30 + "%"])
def test_any_text_becomes_words(text: str) -> None:
    assert re.fullmatch(r"[a-z' .,;:!?]*", normalise(text).text)


def test_what_cannot_be_read_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert spoken("hello ☃ 你 ☃ world") == "hello world"
    assert len(caplog.messages) == 1
    assert "☃ (snowman)" in caplog.messages[0] and caplog.messages[0].count("☃") == 1


def _value(words: str) -> int:
    """Numbers in words back to numbers, for the round trip."""
    small = {cardinal(number): number for number in range(20)} | {cardinal(ten): ten for ten in range(20, 100, 10)}
    scales = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "quadrillion": 10**15}
    total = group = 0
    for word in words.split():
        if word in scales:
            total, group = total + group * scales[word], 0
        else:
            group = group * 100 if word == "hundred" else group + small[word]
    return total + group


def test_cardinals_mean_their_numbers() -> None:
    numbers = [*range(1200), *(7**power for power in range(4, 21)), 10**6, 10**17 + 10**6 + 1]
    assert [_value(cardinal(number)) for number in numbers] == numbers


def test_ordinals_and_years() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 5, 8, 9, 12, 20, 33, 100, 1012)] == [
        *("first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth"),
        *("thirty third", "one hundredth", "one thousand twelfth"),
    ]
    assert [year(number) for number in (1900, 1905, 2000, 2026)] == [
        *("nineteen hundred", "nineteen oh five", "two thousand", "twenty twenty six"),
    ]
