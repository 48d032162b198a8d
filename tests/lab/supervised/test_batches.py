"""Batches as a network takes them: each is what its numbers say, wherever a run begins and however many are made."""

import numpy as np
import pytest
import torch

from lab.data.batches import Batches
from lab.data.order import indices
from lab.supervised import batches as batches_module
from lab.supervised.augment import augment
from lab.supervised.batches import TrainingBatches, part
from lab.supervised.config import AugmentConfig
from lab.supervised.inference import as_inputs
from lab.supervised.labelled_set import LabelledSet
from lab.supervised.tasks.task import Batch

AUGMENT = AugmentConfig(mirror=True, crop=1, rotation=20.0, noise=0.1)
SEED, SIZE = 5, 6


@pytest.fixture
def examples() -> LabelledSet:
    drawn = np.random.default_rng(0)
    inputs = drawn.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    return LabelledSet("some", inputs, drawn.integers(0, 2, 40), ("no", "yes"), (), "")


def made(examples: LabelledSet, size: int = SIZE, rows: slice | None = None) -> TrainingBatches:
    batches = Batches(examples, torch.device("cpu"), SEED)
    return TrainingBatches(batches, AUGMENT, SEED, size, slice(0, size) if rows is None else rows)


def expected(examples: LabelledSet, first: int, count: int = SIZE) -> Batch:
    rows = indices(len(examples), SEED, first, count)
    values = augment(as_inputs(torch.from_numpy(examples.inputs[rows])), AUGMENT, SEED, first)
    return Batch(values, torch.from_numpy(examples.targets[rows]), torch.arange(first, first + count))


def assert_same(one: Batch, other: Batch) -> None:
    torch.testing.assert_close(one.inputs, other.inputs)
    assert torch.equal(one.targets, other.targets) and torch.equal(one.numbers, other.numbers)


def test_one_after_the_other_over_several_epochs(examples: LabelledSet) -> None:
    batches = made(examples)
    for first in range(0, 300, SIZE):
        assert_same(batches.at(first), expected(examples, first))


def test_begun_anywhere_it_makes_the_same_bits(examples: LabelledSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "_BLOCK_BATCHES", 4)
    batches = made(examples)
    whole = [batches.at(first) for first in range(0, 20 * SIZE, SIZE)]
    for begun in (1, 3, 4, 17):
        again = made(examples).at(begun * SIZE)
        assert all(torch.equal(*pair) for pair in zip(again, whole[begun], strict=True))


@pytest.mark.parametrize("first", [0, 10, 3 * 28, 31 * 7 + 2])
def test_a_run_whose_batches_once_had_another_size_goes_on(examples: LabelledSet, first: int) -> None:
    batches = made(examples, size=7)
    for index in range(40):
        assert_same(batches.at(first + 7 * index), expected(examples, first + 7 * index, 7))


def test_each_rank_has_its_rows(examples: LabelledSet) -> None:
    shares = [made(examples, rows=rows) for rows in (slice(0, 3), slice(3, 6))]
    for first in range(0, 60, SIZE):
        both = [share.at(first) for share in shares]
        together = Batch(*(torch.cat(pair) for pair in zip(*both, strict=True)))
        assert_same(together, expected(examples, first))


def test_large_pictures_are_made_one_batch_at_a_time(examples: LabelledSet, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        return as_inputs(inputs)

    monkeypatch.setattr(batches_module, "as_inputs", counted)
    made(examples).at(0)
    monkeypatch.setattr(batches_module, "_BLOCK_NUMBERS", 1)
    made(examples).at(0)
    assert sizes[0] > SIZE and sizes[1] == SIZE


@pytest.mark.parametrize("rows", [slice(0, SIZE), slice(2, 5)])
def test_alternating_flips_show_every_image_both_ways_in_two_epochs(examples: LabelledSet, rows: slice) -> None:
    plain, alternating = AugmentConfig(crop=0), AugmentConfig(mirror="alternate", crop=0)
    seen: dict[int, dict[int, bool]] = {}
    made = [
        TrainingBatches(Batches(examples, torch.device("cpu"), SEED), config, SEED, SIZE, rows)
        for config in (plain, alternating)
    ]
    for first in range(0, 4 * 40, SIZE):
        straight, found = (batches.at(first) for batches in made)
        for number, image, given in zip(found.numbers.tolist(), found.inputs, straight.inputs, strict=True):
            epoch, item = number // 40, int(indices(40, SEED, number, 1)[0])
            mirrored = torch.equal(image, given.flip(-1))
            assert mirrored or torch.equal(image, given)
            seen.setdefault(item, {})[epoch] = mirrored
    starts = [flips[epoch] ^ (epoch % 2 == 1) for flips in seen.values() for epoch in flips]
    assert all(len({flips[e] ^ (e % 2 == 1) for e in flips}) == 1 for flips in seen.values())
    assert 0.25 < sum(starts) / len(starts) < 0.75


def test_part_of_a_batch(examples: LabelledSet) -> None:
    whole = made(examples).at(0)
    assert_same(part(whole, slice(2, 5)), Batch(whole.inputs[2:5], whole.targets[2:5], whole.numbers[2:5]))
