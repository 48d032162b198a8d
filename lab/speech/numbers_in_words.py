"""English numbers in words: cardinals, ordinals, years, decimals, fractions of a unit."""

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_THOUSANDS = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"},
    "twelve": "twelfth",
}
LARGEST = 10**18 - 1
"""Larger numbers are read digit by digit."""


def cardinal(number: int) -> str:
    """A whole number in words: 1204 -> "one thousand two hundred four"; digit by digit beyond `LARGEST`."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number > LARGEST:
        return digits(str(number))
    groups: list[str] = []
    for name in _THOUSANDS:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {name}".strip())
    return " ".join(reversed(groups)) or _ONES[0]


def ordinal(number: int) -> str:
    """A whole number from 0 as an ordinal: 21 -> "twenty first"."""
    *head, last = cardinal(number).split()
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*head, _ORDINALS.get(last, regular)])


def year(number: int) -> str:
    """A year from 1000 to 2999 as people say it: 1999 -> "nineteen ninety nine", 2007 -> "two thousand seven"."""
    century, rest = divmod(number, 100)
    if number % 1000 < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(text: str) -> str:
    """Digits one by one: "305" -> "three zero five"; other characters are left out."""
    return " ".join(_ONES[int(character)] for character in text if character in "0123456789")


def decimal(whole: str, fraction: str) -> str:
    """A decimal number from its digits: ("3", "14") -> "three point one four"."""
    return f"{cardinal(int(whole or '0'))} point {digits(fraction)}"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        words += [_TENS[tens], *([_ONES[ones]] if ones else [])]
    elif rest:
        words.append(_ONES[rest])
    return " ".join(words)
