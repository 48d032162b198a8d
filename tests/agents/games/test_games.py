"""What holds for every game: random games, every option set."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from agents import games
from lab.errors import UserError
from tests.agents.playouts import CASES, CPU, IDS, playout

every_game = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)


def same(a: Any, b: Any) -> bool:
    """Whether two states are equal, dtypes included."""
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True))


@every_game
def test_games_end_within_max_plies(name: str, options: dict[str, int]) -> None:
    game, states, actions = playout(name, options)
    assert 0 < len(actions) <= game.max_plies
    assert game.done(states[-1]).all()


@every_game
def test_states_keep_their_dtypes_and_shapes(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for state in states:
        assert type(state) is type(states[0])
        assert [(x.dtype, x.shape) for x in state] == [(x.dtype, x.shape) for x in states[0]]
    batch = len(states[0][0])
    assert all(len(field) == batch for field in states[0])
    shapes = {
        "legal": (game.legal, (batch, game.num_actions), torch.bool),
        "player": (game.player, (batch,), torch.int64),
        "plies": (game.plies, (batch,), torch.int64),
        "done": (game.done, (batch,), torch.bool),
        "reward": (game.reward, (batch, 2), torch.float32),
        "observe": (game.observe, (batch, *game.observation_shape), torch.float32),
        "key": (game.key, (batch,), torch.int64),
    }
    for function, shape, dtype in shapes.values():
        assert (function(states[1]).shape, function(states[1]).dtype) == (shape, dtype)
    assert len(game.action_names) == len(set(game.action_names)) == game.num_actions


@every_game
def test_boards_that_are_over_stay_as_they_are(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for action in range(game.num_actions):
        assert same(game.step(states[-1], torch.full_like(game.player(states[-1]), action)), states[-1])


@every_game
def test_there_is_a_legal_action_until_a_board_is_over_and_none_after(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for state in states:
        assert torch.equal(game.legal(state).any(1), ~game.done(state))


@every_game
def test_rewards_are_zero_sum_and_zero_until_the_end(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for state in states:
        reward = game.reward(state)
        assert (reward.sum(1) == 0).all()
        assert torch.isin(reward, torch.tensor([-1.0, 0.0, 1.0])).all()
        assert (reward[~game.done(state)] == 0).all()
    assert (game.reward(states[-1]) == 1).any(), "somebody wins some of the games"


@every_game
def test_player_0_begins_and_players_alternate(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    assert (game.player(states[0]) == 0).all()
    for before, after in pairwise(states):
        running = ~game.done(before)
        assert torch.equal(game.player(after)[running], 1 - game.player(before)[running])


@every_game
def test_plies_count_the_moves_of_running_boards(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    assert (game.plies(states[0]) == 0).all()
    for before, after in pairwise(states):
        assert torch.equal(game.plies(after), game.plies(before) + ~game.done(before))


@every_game
def test_an_observation_is_enough_to_rebuild_its_state(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for state in states:
        rebuilt = game.from_observation(game.observe(state))
        for function in (game.observe, game.legal, game.player, game.plies, game.done, game.reward, game.key):
            assert torch.equal(function(rebuilt), function(state))


@every_game
def test_observations_are_zeros_and_ones(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for state in states:
        observation = game.observe(state)
        assert ((observation == 0) | (observation == 1)).all()


@every_game
def test_symmetries_are_permutations_and_the_first_changes_nothing(name: str, options: dict[str, int]) -> None:
    game, _, _ = playout(name, options)
    for table, size in zip(game.symmetries(CPU), (np.prod(game.observation_shape), game.num_actions), strict=True):
        assert table.dtype == torch.int64
        assert torch.equal(table[0], torch.arange(size))
        assert torch.equal(table.sort(1).values, torch.arange(size).expand(len(table), -1))


@every_game
def test_a_mapped_game_shows_the_mapped_boards_and_ends_the_same(name: str, options: dict[str, int]) -> None:
    game, states, actions = playout(name, options)
    for planes, order in zip(*game.symmetries(CPU), strict=True):
        mapped_action = order.argsort()  # policy' = policy[order]: action a is found at its place in `order`
        mapped = states[0]
        for ply, action in enumerate(actions):
            mapped = game.step(mapped, mapped_action[action])
            state = states[ply + 1]
            seen = game.observe(state).flatten(1)
            assert torch.equal(game.observe(mapped).flatten(1), seen[:, planes])
            assert torch.equal(game.legal(mapped), game.legal(state)[:, order])
            assert torch.equal(game.reward(mapped), game.reward(state))
            assert torch.equal(game.done(mapped), game.done(state))


@every_game
def test_keys_are_equal_exactly_when_observations_are(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options, batch=512)
    keys = torch.cat([game.key(state) for state in states]).tolist()
    observations = torch.cat([game.observe(state) for state in states]).to(torch.uint8).flatten(1).numpy()
    seen = [row.tobytes() for row in observations]
    different = len(set(seen))
    assert len(set(keys)) == different == len(set(zip(keys, seen, strict=True)))


@every_game
def test_a_board_does_not_depend_on_its_neighbours(name: str, options: dict[str, int]) -> None:
    game, states, actions = playout(name, options)
    some = torch.tensor([17, 3, 41, 3])
    state = game.initial(len(some), CPU)
    for ply, action in enumerate(actions):
        state = game.step(state, action[some])
        alone = games.select(states[ply + 1], some)
        assert same(state, alone)
        for function in (game.legal, game.observe, game.key, game.reward):
            assert torch.equal(function(state), function(states[ply + 1])[some])


@every_game
def test_rules_read_nothing_back_from_the_device(name: str, options: dict[str, int]) -> None:
    # Tensors of the meta device have shapes and no data: looking at a value raises.
    game, device = games.make(name, **options), torch.device("meta")
    state = game.initial(8, device)
    state = game.step(state, torch.zeros(8, dtype=torch.int64, device=device))
    functions = (game.legal, game.player, game.plies, game.done, game.reward, game.observe, game.key)
    results = [function(state) for function in functions]
    assert all(tensor.device == device for tensor in [*state, *results, *game.symmetries(device)])


@every_game
def test_no_boards_are_a_batch_too(name: str, options: dict[str, int]) -> None:
    game = games.make(name, **options)
    state = game.step(game.initial(0, CPU), torch.zeros(0, dtype=torch.int64))
    assert game.legal(state).shape == (0, game.num_actions)
    assert game.observe(state).shape == (0, *game.observation_shape)
    assert game.key(state).shape == (0,)


@every_game
def test_x_moves_first_in_pictures(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    assert "X" not in game.render(states[0], 0)
    first = game.render(states[1], 0)
    assert (first.count("X"), first.count("O")) == (1, 0)


@every_game
def test_boards_can_be_selected_merged_and_joined(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    a, b = states[0], states[1]
    mask = torch.arange(len(a[0])) % 2 == 0
    merged = games.where(mask, a, b)
    assert same(games.select(merged, mask.nonzero()[:, 0]), games.select(a, mask.nonzero()[:, 0]))
    assert same(games.select(merged, (~mask).nonzero()[:, 0]), games.select(b, (~mask).nonzero()[:, 0]))
    joined = games.concatenate([a, b])
    assert same(games.select(joined, torch.arange(len(mask), 2 * len(mask))), b)
    assert torch.equal(game.key(joined), torch.cat([game.key(a), game.key(b)]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("conect_four", {}, "connect_four"),
        ("go", {}, "connect_four, tic_tac_toe"),
        ("connect_four", {"row": 5}, "rows, columns, length"),
        ("connect_four", {"rows": 0}, "at least 1"),
        ("tic_tac_toe", {"length": 4}, "length 4"),
        ("tic_tac_toe", {"length": 1}, "at least 2"),
    ],
)
def test_a_game_that_cannot_be_made_says_why(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make(name, **options)
