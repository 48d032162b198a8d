"""English names of numbers."""

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def number_words(number: int) -> str:
    """0 to 9,999, without "and" and hyphens: "two thousand three hundred forty one"."""
    if not 0 <= number < 10_000:
        raise ValueError(f"only numbers from 0 to 9,999 have names here, not {number}")
    if number == 0:
        return _SMALL[0]
    words = []
    for unit, name in ((1000, "thousand"), (100, "hundred")):
        if number >= unit:
            words += [_SMALL[number // unit], name]
            number %= unit
    if number >= 20:
        words.append(_TENS[number // 10 - 2])
        number %= 10
    if number:
        words.append(_SMALL[number])
    return " ".join(words)
