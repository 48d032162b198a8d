"""Go against the plain rules of `plain_go`, on random games."""

from typing import Any

import numpy as np
import pytest
import torch

from agents.games.go import Go
from agents.games.testing import random_playout, same
from agents.search.node_states import History, NodeStates
from tests.agents.games.go.plain_go import PlainGo

CPU = torch.device("cpu")


def compare(game: Go, boards: int, seed: int, *, pass_less: bool = True, observe: bool = True) -> int:
    """Play random games on both; returns the number of points that the ko rule alone forbade.

    pass_less: a pass is played only where nothing else is legal, so that games last until the board is settled.
    """
    rng = np.random.default_rng(seed)
    plain = PlainGo(game.size, game.ko, game.max_plies, boards)
    state = game.initial(boards, CPU)
    banned_points = 0
    while True:
        legal, banned = plain.legal()
        banned_points += int(banned.sum())
        assert np.array_equal(game.legal(state).numpy(), legal)
        assert np.array_equal(state.banned.numpy(), banned)
        assert np.array_equal(game.done(state).numpy(), plain.over)
        assert np.array_equal(game.plies(state).numpy(), plain.plies)
        assert np.array_equal(game.reward(state).numpy(), plain.reward(game.komi))
        assert np.array_equal(state.captures.numpy(), plain.captures)
        stones = state.boards[torch.arange(boards), state.plies % game.positions].numpy()
        assert np.array_equal(stones, plain.boards.reshape(boards, -1))
        for player in (0, 1) if observe else ():
            seen = game.observe(state, torch.full((boards,), player)).numpy()
            assert np.array_equal(seen, plain.observation(game.positions, game.komi, banned, player))
        if plain.over.all():
            return banned_points
        weight = rng.random(legal.shape) * legal
        if pass_less:
            weight[:, -1] *= 1e-9
        actions = weight.argmax(1)
        plain.play(actions)
        state = game.step(state, torch.from_numpy(actions))


@pytest.mark.parametrize(
    ("game", "boards"),
    [
        (Go(2, komi=0.5), 20),
        (Go(3, komi=0.5, positions=3), 16),
        (Go(4, komi=1.0, ko="simple"), 6),
        (Go(5, komi=7.5, positions=1, max_plies=40), 4),
    ],
    ids=["2x2", "3x3", "4x4 simple ko", "5x5"],
)
def test_random_games_agree_with_plain_rules(game: Go, boards: int) -> None:
    assert compare(game, boards, 0) > 0
    compare(game, boards // 2, 1, pass_less=False)


@pytest.mark.parametrize("rule", ["positional", "simple"])
def test_the_path_without_a_wait_for_the_device_gives_the_same_states(
    rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = Go(4, komi=0.5, ko=rule)
    playout = random_playout(game, 16)
    assert sum(int(state.banned.sum()) for state in playout.states) > 0
    monkeypatch.setattr("agents.games.go.game._on_cpu", lambda _: False)
    state = game.initial(16, CPU)
    for action, expected in zip(playout.actions, playout.states[1:], strict=True):
        state = game.step(state, action)
        assert same(state, expected)


def test_a_tree_finds_repetitions_of_the_path_and_of_the_game_before_it() -> None:
    game = Go(3, komi=0.5)
    states, actions = random_playout(game, 32, 5)[1:]
    first, batch = 4, torch.arange(32)
    roots = states[first]
    nodes = NodeStates(roots, History(game.history, roots.plies), nodes=32 * len(states))
    path = [batch]
    for depth, (action, expected) in enumerate(zip(actions[first:], states[first + 1 :], strict=True), 1):
        parents = nodes.read(path[-1], torch.stack(path))
        child = game.step(parents, action)
        assert same(child, expected)
        nodes.write(slice(32 * depth, 32 * (depth + 1)), child, child.plies)
        path.append(batch + 32 * depth)
    assert sum(int(state.banned.sum()) for state in states[first:]) > 0


def test_256_trees_of_65_nodes_fit_in_a_tenth_of_2_gb() -> None:
    game = Go(19)
    roots = game.initial(256, torch.device("meta"))
    nodes = NodeStates(roots, History(game.history, roots.plies), nodes=256 * 65)
    assert nodes.nbytes + sum(field.nbytes for field in roots) < 200e6


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("game", "boards", "pass_less"),
    [
        (Go(3, komi=0.5), 2000, True),
        (Go(4, komi=0.5), 2000, False),
        (Go(4, komi=1.5, ko="simple"), 1500, True),
        (Go(5, komi=0.5), 2500, True),
        (Go(5, komi=2.5, ko="simple"), 1000, False),
        (Go(6, komi=7.5), 1000, True),
    ],
)
def test_10_000_random_games_agree_with_plain_rules(game: Go, boards: int, pass_less: bool) -> None:
    for seed in range(0, boards, 500):
        compare(game, min(500, boards - seed), 100 + seed, pass_less=pass_less, observe=seed == 0)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("size", "boards"), [pytest.param(9, 40, marks=pytest.mark.slow), pytest.param(13, 4, marks=pytest.mark.long)]
)
def test_random_games_on_large_boards_agree_with_plain_rules(size: int, boards: int) -> None:
    assert compare(Go(size), boards, 7) > 0
