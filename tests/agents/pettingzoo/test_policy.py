"""Agents as policies, on PettingZoo's own Connect Four and tic-tac-toe."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from pettingzoo.classic.connect_four import connect_four
from pettingzoo.classic.tictactoe import tictactoe
from torch import Tensor

from agents.alphazero.agent import Agent, make_agent, make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.pettingzoo import make, policy_for
from lab.errors import UserError
from lab.train.device import resolve
from tests.agents.playouts import playout

LEFT, CENTRE = [float(-a) for a in range(7)], [-abs(3.0 - a) for a in range(7)]


def network_agent(name: str) -> Agent:
    """An untrained network."""
    config = AlphaZeroConfig.model_validate(
        {"game": {"name": name}, "network": {"channels": 8, "blocks": 1}, "budget": 1}
    )
    torch.manual_seed(0)
    return make_agent(name, config, make_network(config, config.game.make()), resolve("cpu"))


class Preferences:
    """Evaluates every position alike: fixed logits and no idea who is ahead; counts what it is asked."""

    def __init__(self, logits: list[float]) -> None:
        self.logits, self.asked = torch.tensor(logits), 0

    def __call__(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        assert observation.dtype == torch.float32 and observation.shape[1:] == (2, 6, 7)
        self.asked += len(observation)
        return self.logits.expand(len(observation), -1), torch.zeros(len(observation))


def preferring(logits: list[float]) -> Any:
    return replace(network_agent("connect_four"), evaluate=cast(Any, Preferences(logits)))


def after(moves: list[int]) -> dict[str, np.ndarray]:
    """What PettingZoo's Connect Four shows the mover after moves from the empty board."""
    env = connect_four.env()
    env.reset()
    for move in moves:
        env.step(move)
    return env.last()[0]


@pytest.mark.parametrize("simulations", [0, 8])
@pytest.mark.parametrize(("name", "module"), [("connect_four", connect_four), ("tic_tac_toe", tictactoe)])
def test_a_network_plays_pettingzoos_own_games_to_the_end(name: str, module: Any, simulations: int) -> None:
    env = module.env()
    policy = policy_for(network_agent(name), simulations, env)
    opponent = np.random.default_rng(0)
    for game in range(4):
        env.reset()
        plies = 0
        for agent in env.agent_iter():
            observation, _, termination, truncation, _ = env.last()
            if termination or truncation:
                assert plies >= 5 and not truncation, "an illegal move also truncates"
                env.step(None)
                continue
            mask = observation["action_mask"]
            ours = env.possible_agents.index(agent) == game % 2
            action = policy(observation) if ours else int(opponent.choice(np.flatnonzero(mask)))
            assert type(action) is int and mask[action]
            env.step(action)
            plies += 1


def test_without_search_it_plays_the_legal_action_with_the_highest_logit() -> None:
    agent = preferring(LEFT)
    policy = policy_for(agent)
    assert policy(after([])) == 0
    assert policy(after([0, 0, 0, 0, 0, 0])) == 1
    assert agent.evaluate.asked == 2
    assert policy_for(preferring([float("-inf")] * 7))(after([0] * 6)) == 1


def test_without_search_it_misses_a_win_and_with_search_it_takes_it() -> None:
    position = after([6, 0, 6, 0, 6, 0])
    assert policy_for(preferring(CENTRE))(position) == 3
    assert policy_for(preferring(CENTRE), simulations=32)(position) == 6
    # The mirror image, a diagonal, and the same for the second player.
    assert policy_for(preferring(CENTRE), simulations=32)(after([0, 6, 0, 6, 0, 6])) == 0
    assert policy_for(preferring(CENTRE), simulations=32)(after([0, 1, 1, 2, 2, 3, 2, 3, 3, 6])) == 3
    assert policy_for(preferring(LEFT), simulations=32)(after([0, 6, 0, 6, 1, 6, 1])) == 6


def test_with_search_it_blocks() -> None:
    policy = policy_for(preferring([0.0] * 7), simulations=256)
    for moves, block in [([6, 0, 6, 0, 6], 6), ([0, 3, 1, 3, 6, 3], 3), ([3, 0, 3, 1, 3], 3)]:
        assert policy(after(moves)) == block
    assert policy_for(preferring([0.0] * 7))(after([6, 0, 6, 0, 6])) != 6


def test_a_batch_gets_the_actions_of_its_rows() -> None:
    game, states, _ = playout("connect_four", {})
    state = states[9]
    running = (~game.done(state)).numpy()
    seen = game.observe(state).numpy().transpose(0, 2, 3, 1).astype(np.int8)[running]
    masks = game.legal(state).numpy().astype(np.int8)[running]
    for simulations in (0, 16):
        policy = policy_for(preferring(CENTRE), simulations)
        actions = policy.batch(seen, masks)
        assert actions.dtype == np.int64 and actions.shape == (running.sum(),)
        assert actions.tolist() == [
            policy({"observation": o, "action_mask": m}) for o, m in zip(seen, masks, strict=True)
        ]
    assert (policy.batch(seen, masks) == policy.batch(seen, masks)).all()


@pytest.mark.parametrize("simulations", [0, 16])
def test_an_action_that_the_environment_rules_out_is_not_played(simulations: int) -> None:
    observation = after([])
    observation["action_mask"][3] = 0
    assert policy_for(preferring(CENTRE), simulations)(observation) in {2, 4}


def test_a_search_evaluates_more_positions_than_the_one_it_is_asked_about() -> None:
    agent = preferring(CENTRE)
    policy_for(agent, simulations=16)(after([]))
    assert 8 <= agent.evaluate.asked <= 17


@pytest.mark.parametrize("simulations", [0, 4])
def test_nothing_to_choose_is_an_error(simulations: int) -> None:
    env = make("connect_four")
    env.reset()
    with pytest.raises(ValueError, match="other agent's move"):
        policy_for(preferring(CENTRE), simulations)(env.observe("player_1"))


@pytest.mark.parametrize(
    "env", [tictactoe.env(), make("connect_four", rows=5), make("connect_four", columns=8)], ids=str
)
def test_an_environment_with_other_spaces_is_refused(env: Any) -> None:
    with pytest.raises(UserError, match=r"plays connect_four, with observations \(6, 7, 2\) and 7 actions, not"):
        policy_for(preferring(CENTRE), env=env)
    env.reset()
    with pytest.raises(UserError, match="not"):
        policy_for(preferring(CENTRE))(env.last()[0])


def test_an_environment_without_a_mask_is_refused() -> None:
    from pettingzoo.classic.rps import rps

    with pytest.raises(UserError, match="action_mask"):
        policy_for(preferring(CENTRE), env=rps.env())


def test_simulations_must_make_sense() -> None:
    with pytest.raises(UserError, match="simulations"):
        policy_for(preferring(CENTRE), simulations=-1)
