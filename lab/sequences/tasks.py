"""Generated tasks: inputs and targets are functions of the numbers of the examples, computed as tensors.

A new task is a function and a line of the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lab import rng
from lab.nets.rnn import length_mask
from lab.sequences.batch import SequenceBatch
from lab.sequences.number_words import number_words
from lab.sequences.vocabulary import END, FIRST, PAD, Vocabulary, pad_rows

Drawer = Callable[[Callable[..., Tensor], Tensor], SequenceBatch]

_DIGITS = "0123456789"


@dataclass(frozen=True)
class Task:
    """A task of one size: its kind of target, vocabularies (no targets for numbers), and how examples are drawn.

    longest: tokens of the longest input and target, including its end. draw: `draw(below, numbers)` generates the
    examples with these numbers [N]; `below(high, what)` is uniform int64 [N] in [0, high), `below(high, what, places)`
    uniform [N, places], independent for each `what`. fixed_length: all inputs have one length.
    """

    answer: Literal["label", "number", "tags", "sequence"]
    inputs: Vocabulary
    targets: Vocabulary | None
    longest: tuple[int, int]
    draw: Drawer
    fixed_length: bool = False


def bit_count(size: int) -> Task:
    """`size` bits -> the number of ones, as a label."""
    labels = Vocabulary(tuple(str(count) for count in range(size + 1)))

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        bits = below(2, 0, size)
        return SequenceBatch(bits + FIRST, torch.full_like(numbers, size), bits.sum(1, keepdim=True) + FIRST)

    return Task("label", Vocabulary(tuple("01")), labels, (size, 1), draw, fixed_length=True)


def spell(size: int) -> Task:
    """A number of `size` digits, at most 4 -> its name, letter by letter."""
    names = [number_words(number) for number in range(10**size)]
    letters = Vocabulary.from_texts(names)
    table = pad_rows([[*letters.encode(name), END] for name in names])

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        value = below(10**size, 0)
        return SequenceBatch(
            _digits(value, size).flip(1) + FIRST, torch.full_like(numbers, size), table.to(value.device)[value]
        )

    return Task("sequence", Vocabulary(tuple(_DIGITS)), letters, (size, table.shape[1]), draw, fixed_length=True)


def parity(size: int) -> Task:
    """1 to `size` bits -> whether the number of ones is even or odd."""

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        lengths = 1 + below(size, 0)
        mask = length_mask(lengths, size)
        bits = below(2, 1, size) * mask
        odd = bits.sum(1, keepdim=True) % 2
        return SequenceBatch(torch.where(mask, bits + FIRST, PAD), lengths, odd + FIRST)

    return Task("label", Vocabulary(tuple("01")), Vocabulary(("even", "odd"), words=True), (size, 1), draw)


def adding(size: int) -> Task:
    """2 to `size` digits, two of them after a star -> the sum of these two (Hochreiter and Schmidhuber 1997, 5.4)."""
    places = size + 2

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        count = 2 + below(size - 1, 0)
        one = below(count, 1)
        other = (one + 1 + below(count - 1, 2)) % count
        first, second = torch.minimum(one, other)[:, None], torch.maximum(one, other)[:, None]
        digits = below(10, 3, places)
        columns = torch.arange(places, device=numbers.device).expand(len(numbers), -1)
        starred = (columns == first) | (columns == second + 1)  # the first star shifts the second by one place
        lengths = count + 2
        tokens = torch.where(starred, FIRST + 10, digits + FIRST)
        chosen = ((columns == first + 1) | (columns == second + 2)) & length_mask(lengths, places)
        return SequenceBatch(
            torch.where(length_mask(lengths, places), tokens, PAD), lengths, (digits * chosen).sum(1).float()
        )

    return Task("number", Vocabulary(tuple(_DIGITS + "*")), None, (places, 0), draw)


def brackets(size: int) -> Task:
    """1 to `size` brackets -> the depth of each, 1 to 9, or an exclamation mark if it is never closed.

    A tag depends on later brackets, so that the network must be bidirectional.
    """
    deepest = 9

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        lengths = 1 + below(size, 0)
        coins = below(2, 1, size)
        depth, closing, after = torch.zeros_like(numbers), [], []
        for step in range(size):
            opens = ((coins[:, step] == 1) | (depth == 0)) & (depth < deepest)
            depth = torch.where(opens, depth + 1, depth - 1)
            closing.append(~opens)
            after.append(depth)
        closes, depths, mask = torch.stack(closing, 1), torch.stack(after, 1), length_mask(lengths, size)
        level = torch.where(closes, depths + 1, depths)
        # An opening bracket is closed when the depth later falls below its own.
        behind = torch.where(mask, depths, deepest + 1).flip(1).cummin(1).values.flip(1)
        tags = torch.where(closes | (behind < level), level, 0)
        return SequenceBatch(
            torch.where(mask, closes.long() + FIRST, PAD), lengths, torch.where(mask, tags + FIRST, PAD)
        )

    return Task("tags", Vocabulary(tuple("()")), Vocabulary(tuple("!123456789")), (size, size), draw)


def reverse(size: int) -> Task:
    """1 to `size` letters -> the letters in reverse order."""
    letters = Vocabulary(tuple("abcdefghijklmnopqrstuvwxyz"))

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        lengths = 1 + below(size, 0)
        tokens = below(26, 1, size) + FIRST
        back = lengths[:, None] - 1 - torch.arange(size, device=numbers.device)
        targets = torch.where(back >= 0, tokens.gather(1, back.clamp_min(0)), PAD)
        return SequenceBatch(torch.where(length_mask(lengths, size), tokens, PAD), lengths, _ended(targets, lengths))

    return Task("sequence", letters, letters, (size, size + 1), draw)


def reverse_add(size: int) -> Task:
    """Two numbers of 1 to `size` digits and a plus between them -> their sum, last digit first."""
    places = 2 * size + 1

    def draw(below: Callable[..., Tensor], numbers: Tensor) -> SequenceBatch:
        (one, one_digits), (other, other_digits) = (_number(below, size, what) for what in (0, 2))
        columns = torch.arange(places, device=numbers.device)
        plus, lengths = one_digits[:, None], one_digits + 1 + other_digits
        in_one, in_other = (
            (plus - 1 - columns),
            (lengths[:, None] - 1 - columns),
        )  # index of the digit, counted from the last
        digit = torch.where(
            columns < plus,
            _digits(one, size).gather(1, in_one.clamp(0, size - 1)),
            _digits(other, size).gather(1, in_other.clamp(0, size - 1)),
        )
        tokens = torch.where(columns == plus, FIRST + 10, digit + FIRST)
        total = one + other
        sum_digits = 1 + sum((total >= 10**power).long() for power in range(1, size + 1))
        target = torch.where(length_mask(sum_digits, size + 1), _digits(total, size + 1) + FIRST, PAD)
        return SequenceBatch(
            torch.where(length_mask(lengths, places), tokens, PAD), lengths, _ended(target, sum_digits)
        )

    return Task("sequence", Vocabulary(tuple(_DIGITS + "+")), Vocabulary(tuple(_DIGITS)), (places, size + 2), draw)


@dataclass(frozen=True)
class SizedTask:
    """A task of any size: unit of the size, allowed sizes, and the default."""

    make: Callable[[int], Task]
    unit: str
    sizes: range
    default: int


TASKS: Mapping[str, SizedTask] = {
    "bit_count": SizedTask(bit_count, "bits", range(2, 33), 12),
    "spell": SizedTask(spell, "digits", range(1, 5), 4),
    "parity": SizedTask(parity, "most bits", range(2, 65), 16),
    "adding": SizedTask(adding, "most digits", range(2, 65), 10),
    "brackets": SizedTask(brackets, "most brackets", range(2, 129), 20),
    "reverse": SizedTask(reverse, "most letters", range(2, 65), 10),
    "reverse_add": SizedTask(reverse_add, "most digits of a number", range(1, 13), 5),
}


def _number(below: Callable[..., Tensor], size: int, what: int) -> tuple[Tensor, Tensor]:
    """Numbers [N] without leading zeros, whose number of digits is uniform in 1 to `size`, and that number [N]."""
    digits = 1 + below(size, what)
    smallest = torch.where(digits == 1, 0, 10 ** (digits - 1))
    return smallest + below(10**digits - smallest, what + 1), digits


def _digits(numbers: Tensor, count: int) -> Tensor:
    """Numbers [N] -> their last `count` digits, the last first, [N, count]."""
    return numbers[:, None] // 10 ** torch.arange(count, device=numbers.device) % 10


def _ended(targets: Tensor, lengths: Tensor) -> Tensor:
    """Ids [N, T] -> [N, T + 1] with `END` after the length of each row."""
    longer = torch.cat([targets, torch.full_like(targets[:, :1], PAD)], dim=1)
    return longer.scatter(1, lengths[:, None], END)


def drawer(seed: int, *counters: Tensor | int) -> Callable[..., Tensor]:
    """The `below` of a task's `draw`, keyed by (seed, counters)."""

    def below(high: int | Tensor, what: int, places: int = 0) -> Tensor:
        if not places:
            return rng.integers(high, seed, *counters, what)
        device = next(counter.device for counter in counters if isinstance(counter, Tensor))
        columns = torch.arange(places, device=device)
        rows = [counter[:, None] if isinstance(counter, Tensor) else counter for counter in counters]
        return rng.integers(high, seed, *rows, what, columns)

    return below
