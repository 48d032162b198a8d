"""Threshold units: what two layers compute, and what one unit cannot."""

import pytest
import torch

from lab.milestones.mcculloch_pitts import (
    SEPARABLE,
    computed_by_one_unit,
    contradiction,
    every_function,
    fires,
    patterns,
    two_layers,
)


def test_inhibition_is_absolute() -> None:
    x = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    fired = fires(x, torch.tensor([[1], [1], [0]]), torch.tensor([[0], [0], [1]]), torch.tensor([2]))
    assert fired[:, 0].tolist() == [True, False, False]


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_two_layers_compute_every_function(inputs: int) -> None:
    functions = every_function(inputs)
    assert torch.equal(two_layers(functions), functions)


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_every_function_has_weights_or_a_proof_that_there_are_none(inputs: int) -> None:
    functions = every_function(inputs)
    found = computed_by_one_unit(functions)
    assert int(found.sum()) == SEPARABLE[inputs]
    assert torch.equal(found, ~contradiction(functions))


def test_no_unit_computes_parity() -> None:
    parity = (patterns(3).sum(1) % 2 == 1)[None]
    assert not computed_by_one_unit(parity).any() and contradiction(parity).all()
