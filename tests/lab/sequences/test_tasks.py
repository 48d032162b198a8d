"""GeneratedData examples: right by independent means, pure functions of their numbers, and none of them tested on."""

import re
from collections.abc import Callable

import pytest
import torch

from lab.errors import UserError
from lab.sequences.batch import SequenceBatch
from lab.sequences.generated import GeneratedData
from lab.sequences.number_words import number_words
from lab.sequences.tasks import TASKS
from lab.sequences.vocabulary import END, PAD

CPU = torch.device("cpu")


def data(name: str, size: int | None = None, seed: int = 0) -> GeneratedData:
    made = TASKS[name]
    return GeneratedData(name, made.make(size or made.default), seed, CPU)


def read(source: GeneratedData, examples: SequenceBatch) -> list[tuple[str, str]]:
    """Inputs and answers as text."""
    assert source.targets is not None
    inputs = [source.inputs.decode(row) for row in examples.inputs.tolist()]
    return list(zip(inputs, [source.targets.decode(row) for row in examples.targets.tolist()], strict=True))


def bracket_tags(text: str) -> str:
    """By matching brackets with a stack."""
    tags, stack = ["!"] * len(text), []
    for place, bracket in enumerate(text):
        if bracket == "(":
            stack.append(place)
            continue
        depth = str(len(stack))
        tags[place] = tags[stack.pop()] = depth
    return "".join(tags)


ORACLES: dict[str, Callable[[str], str]] = {
    "bit_count": lambda text: str(text.count("1")),
    "parity": lambda text: "odd" if text.count("1") % 2 else "even",
    "brackets": bracket_tags,
    "reverse": lambda text: text[::-1],
    "reverse_add": lambda text: str(sum(map(int, text.split("+"))))[::-1],
    "spell": lambda text: number_words(int(text)),
}


SMALL = {"bit_count": 8, "spell": 2, "parity": 8, "adding": 2, "brackets": 8, "reverse": 2, "reverse_add": 1}
"""Sizes at which the training draws meet most inputs."""


@pytest.mark.parametrize("name", ORACLES)
def test_answers_are_those_of_plain_python(name: str) -> None:
    source = data(name)
    for text, answer in read(source, source.at(0, 400)) + read(source, source.test):
        assert answer == ORACLES[name](text)


def test_the_sum_of_starred_digits_is_their_sum() -> None:
    source = data("adding")
    examples = source.at(0, 400)
    for row, target in zip(examples.inputs.tolist(), examples.targets.tolist(), strict=True):
        starred = re.findall(r"\*(\d)", source.inputs.decode(row))
        assert len(starred) == 2 and sum(map(int, starred)) == target


def test_names_of_numbers() -> None:
    assert [number_words(n) for n in (0, 7, 19, 20, 81, 100, 615, 2000, 9999)] == [
        "zero",
        "seven",
        "nineteen",
        "twenty",
        "eighty one",
        "one hundred",
        "six hundred fifteen",
        "two thousand",
        "nine thousand nine hundred ninety nine",
    ]


@pytest.mark.parametrize("name", TASKS)
def test_nothing_that_is_tested_is_trained_on_and_tests_do_not_repeat(name: str) -> None:
    smallest = data(name, SMALL[name])
    trained = {tuple(row) for row in smallest.at(0, 4000).inputs.tolist()}
    tested = [tuple(row) for row in smallest.test.inputs.tolist()]
    assert tested and len(set(tested)) == len(tested)
    assert not trained & set(tested)
    assert {tuple(row) for row in data(name, seed=1).at(0, 2000).inputs.tolist()}.isdisjoint(
        tuple(row) for row in data(name, seed=2).test.inputs.tolist()
    )


@pytest.mark.parametrize("name", TASKS)
def test_an_example_is_a_function_of_seed_and_number(name: str) -> None:
    source = data(name)
    whole, part = source.at(100, 50), source.at(120, 10)
    for one, other in zip(whole.part(slice(20, 30)), part, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(whole.inputs, data(name, seed=1).at(100, 50).inputs)


@pytest.mark.parametrize("name", TASKS)
def test_rows_are_padded_behind_their_lengths_and_sequences_end_once(name: str) -> None:
    source = data(name)
    examples = source.at(0, 200)
    steps = torch.arange(examples.inputs.shape[1])
    assert torch.equal(examples.inputs != PAD, steps < examples.lengths[:, None])
    assert examples.inputs.shape[1] == source.longest[0] and int(examples.inputs.max()) < len(source.inputs)
    if source.task.answer == "sequence":
        assert examples.targets.shape[1] == source.longest[1]
        ended = (examples.targets == END).long()
        assert torch.equal(ended.sum(1), torch.ones(200, dtype=torch.int64))
        assert bool((examples.targets[ended.cumsum(1) - ended > 0] == PAD).all())


def test_pairs_to_add_have_one_to_five_digits_in_every_combination() -> None:
    source = data("reverse_add")
    lengths = {tuple(len(part) for part in text.split("+")) for text, _ in read(source, source.at(0, 1000))}
    assert lengths == {(a, b) for a in range(1, 6) for b in range(1, 6)}
    assert len(source.test.inputs) == 1000


def test_a_size_that_leaves_nothing_to_test_is_refused() -> None:
    with pytest.raises(UserError, match="too few inputs"):
        data("bit_count", 2)
