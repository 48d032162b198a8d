"""An evaluator averaged over symmetries treats mirrored boards alike."""

import pytest
import torch
from torch import Tensor

from agents.games import make
from agents.search.symmetric import averaged
from tests.agents.playouts import CPU, playout


@pytest.mark.parametrize("name", ["connect_four", "tic_tac_toe"])
def test_every_form_of_a_position_gets_the_same_answer(name: str) -> None:
    game, states, _ = playout(name, {}, 8)
    size = 2 * game.max_plies
    torch.manual_seed(0)
    to_logits, to_value = torch.randn(size, game.num_actions), torch.randn(size)

    def lopsided(observation: Tensor) -> tuple[Tensor, Tensor]:
        flat = observation.flatten(1)
        return flat @ to_logits, torch.tanh(flat @ to_value)

    observation = torch.cat([game.observe(state) for state in states])
    evaluate = averaged(lopsided, game)
    logits, value = evaluate(observation)
    assert not torch.allclose(logits, lopsided(observation)[0])
    planes, actions = game.symmetries(CPU)
    for form, moves in zip(planes, actions, strict=True):
        turned = observation.flatten(1)[:, form].view_as(observation)
        turned_logits, turned_value = evaluate(turned)
        torch.testing.assert_close(turned_logits, logits[:, moves])
        torch.testing.assert_close(turned_value, value)


def test_an_evaluator_that_is_symmetric_already_is_left_as_it_is() -> None:
    game, states, _ = playout("connect_four", {}, 4)

    def stones(observation: Tensor) -> tuple[Tensor, Tensor]:
        return observation.sum((1, 2)), observation.mean((1, 2, 3))

    observation = torch.cat([game.observe(state) for state in states])
    for answer, expected in zip(averaged(stones, game)(observation), stones(observation), strict=True):
        torch.testing.assert_close(answer, expected)


def test_without_symmetries_nothing_is_averaged() -> None:
    def evaluate(observation: Tensor) -> tuple[Tensor, Tensor]:
        return observation.flatten(1), observation.mean((1, 2, 3))

    assert averaged(evaluate, make("chess")) is evaluate
    assert averaged(evaluate, make("tic_tac_toe")) is not evaluate
