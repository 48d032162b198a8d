"""The phones of American English as flite and the CMU Pronouncing Dictionary write them, and their numbers."""

from collections.abc import Iterable, Sequence

from lab.errors import UserError

PAUSE = "pau"
VOWELS = ("aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw")
CONSONANTS = (
    *("b", "ch", "d", "dh", "f", "g", "hh", "jh", "k", "l", "m", "n", "ng"),
    *("p", "r", "s", "sh", "t", "th", "v", "w", "y", "z", "zh"),
)
PHONES = (PAUSE, *VOWELS, *CONSONANTS)
"""Every phone; the number of a phone in a network is its index plus 1, and 0 is padding."""
_NUMBERS = {phone: number for number, phone in enumerate(PHONES, start=1)}


def numbers_of(phones: Iterable[str], where: str = "the phones") -> list[int]:
    """Phones -> their numbers, from 1. Raises UserError naming a phone that is not in `PHONES`."""
    found = []
    for phone in phones:
        number = _NUMBERS.get(phone)
        if number is None:
            raise UserError(f"{where}: {phone!r:.40} is no phone; known are {' '.join(PHONES)}")
        found.append(number)
    return found


def from_arpabet(symbols: Sequence[str]) -> tuple[str, ...]:
    """ARPAbet with stress digits, as in the CMU dictionary -> phones: the unstressed AH0 is the schwa `ax`."""
    return tuple("ax" if symbol == "AH0" else symbol.rstrip("012").lower() for symbol in symbols)
