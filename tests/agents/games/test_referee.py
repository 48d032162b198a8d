"""Thousands of random games, ply by ply against PettingZoo's own rules."""

from typing import Any

import numpy as np
import pytest
from pettingzoo.classic.connect_four import connect_four
from pettingzoo.classic.tictactoe import tictactoe

from agents import games
from agents.games.testing import Playout, random_playout

REFEREES = {
    "tic_tac_toe": (tictactoe, 2000, 1),
    "connect_four": (connect_four, 2000, 2),
}


def recorded(playout: Playout) -> dict[str, Any]:
    """What our rules say after each ply, arrays [T + 1, B, ...]; observations with the planes last."""
    game, states, _ = playout
    return {
        "done": np.stack([game.done(state).numpy() for state in states]),
        "legal": np.stack([game.legal(state).numpy() for state in states]),
        "player": np.stack([game.player(state).numpy() for state in states]),
        "reward": np.stack([game.reward(state).numpy() for state in states]),
        "observation": np.stack([game.observe(state).numpy().transpose(0, 2, 3, 1) for state in states]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", list(REFEREES))
def test_random_games_agree_with_pettingzoo(name: str) -> None:
    module, batch, seed = REFEREES[name]
    playout = random_playout(games.make(name), batch, seed)
    ours = recorded(playout)
    actions = np.stack([action.numpy() for action in playout.actions])
    referee = module.raw_env()
    for b in range(batch):
        referee.reset()
        first, second = referee.possible_agents
        for t in range(len(actions) + 1):
            mover = referee.agent_selection
            seen = referee.observe(mover)
            done = referee.terminations[mover]
            where = f"game {b}, ply {t}: {actions[:t, b].tolist()}"
            assert ours["done"][t, b] == done == referee.terminations[first], where
            assert ours["player"][t, b] == referee.possible_agents.index(mover), where
            assert np.array_equal(ours["observation"][t, b], seen["observation"]), where
            assert ours["reward"][t, b].tolist() == [referee.rewards[first], referee.rewards[second]], where
            if done:
                break
            # After the end PettingZoo goes on listing cells that are empty; here there is nothing legal then.
            assert np.array_equal(ours["legal"][t, b], seen["action_mask"]), where
            referee.step(int(actions[t, b]))
        else:
            raise AssertionError(f"game {b} goes on for the referee: {actions[:, b].tolist()}")


@pytest.mark.parametrize("name", list(REFEREES))
def test_the_random_games_end_in_every_way(name: str) -> None:
    _, batch, seed = REFEREES[name]
    game, states, _ = random_playout(games.make(name), batch, seed)
    assert set(game.reward(states[-1])[:, 0].tolist()) == {-1.0, 0.0, 1.0}
