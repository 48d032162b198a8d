"""Codes of states: every byte of a state comes back, for any number of boards, and other codes are refused."""

import pytest
import torch

from agents.games import Game, decode, encode, make
from agents.games.codec import code_size
from agents.games.testing import random_playout, same
from tests.agents.games.patrol import Patrol


@pytest.mark.parametrize("game", [make("connect_four"), Patrol(), Patrol(memory=30)], ids=["four", "patrol", "long"])
@pytest.mark.parametrize("boards", [0, 1, 7])
def test_a_state_comes_back_from_its_code_and_plays_on(game: Game, boards: int) -> None:
    _, states, actions = random_playout(game, max(boards, 1), seed=4)
    state = type(states[5])(*(field[:boards] for field in states[5]))
    code = encode(state)
    assert code.dtype == torch.uint8 and code.shape == (boards, code_size(game))
    decoded = decode(game, code)
    assert same(decoded, state)
    assert same(game.step(decoded, actions[5][:boards]), game.step(state, actions[5][:boards]))


def test_a_code_of_another_size_is_refused() -> None:
    code = encode(Patrol(rows=5).initial(2, torch.device("cpu")))
    with pytest.raises(ValueError, match=r"patrol has codes of 78 bytes, not torch.uint8 \[2, 81\]"):
        decode(Patrol(), code)
    with pytest.raises(ValueError, match=r"torch.float32"):
        decode(Patrol(), torch.zeros(2, 78))
