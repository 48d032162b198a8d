"""What holds for every game (random games, every option set), and independent rules for games of lines."""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents import games
from agents.games.line_game import DRAWN, LAST_MOVER_WON, RUNNING, LineGame, LineState
from lab.errors import UserError
from tests.agents.playouts import CASES, CPU, IDS, playout

every_game = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
LINE_CASES = [case for case in CASES if isinstance(games.make(case[0], **case[1]), LineGame)]
LINE_IDS = [IDS[CASES.index(case)] for case in LINE_CASES]
every_line_game = pytest.mark.parametrize(("name", "options"), LINE_CASES, ids=LINE_IDS)


def same(a: Any, b: Any) -> bool:
    """Whether two states are equal, dtypes included."""
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True))


# --- every game


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
    functions = (game.legal, game.player, game.done, game.reward, game.observe, game.key)
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


# --- games of lines, against rules written another way


def lines(game: LineGame) -> list[list[tuple[int, int]]]:
    """Cells (row, column) of every line on the board."""
    found = []
    for row, column, (down, right) in product(range(game.rows), range(game.columns), [(0, 1), (1, 0), (1, 1), (-1, 1)]):
        cells = [(row + k * down, column + k * right) for k in range(game.length)]
        if all(0 <= r < game.rows and 0 <= c < game.columns for r, c in cells):
            found.append(cells)
    return found


def has_line(stones: NDArray[np.bool_], all_lines: list[list[tuple[int, int]]]) -> NDArray[np.bool_]:
    """bool [B] for stones [B, rows, columns]."""
    rows, columns = np.array(all_lines).transpose(2, 0, 1)
    return np.any(stones[:, rows, columns].all(2), axis=1)


class PlainRules:
    """The same rules on NumPy boards [B, rows, columns] of 0, 1 and 2, looked through as a whole."""

    def __init__(self, game: LineGame, batch: int) -> None:
        self.game, self.lines = game, lines(game)
        self.boards = np.zeros((batch, game.rows, game.columns), np.int8)
        self.over = np.zeros(batch, bool)
        self.reward = np.zeros((batch, 2), np.float32)

    def play(self, ply: int, actions: NDArray[np.int64]) -> None:
        player = ply % 2
        for board, over, action in zip(self.boards, self.over, actions, strict=True):
            if not over:
                row, column = divmod(int(action), self.game.columns)
                if self.game.gravity:
                    row = max(r for r in range(self.game.rows) if board[r, column] == 0)
                assert board[row, column] == 0
                board[row, column] = player + 1
        won = has_line(self.boards == player + 1, self.lines) & ~self.over
        self.reward[won, player], self.reward[won, 1 - player] = 1, -1
        self.over |= won | (self.boards != 0).all((1, 2))

    def legal(self) -> NDArray[np.bool_]:
        entry = self.boards[:, 0] if self.game.gravity else self.boards.reshape(len(self.boards), -1)
        return (entry == 0) & ~self.over[:, None]


@every_line_game
def test_rules_agree_with_plain_ones_on_random_games(name: str, options: dict[str, int]) -> None:
    game, states, actions = playout(name, options)
    plain = PlainRules(game, len(actions[0]))
    # The board of a game that is over keeps the view of the side that would be next.
    plies = np.zeros(len(actions[0]), np.int64)
    for ply, action in enumerate(actions):
        plies += ~plain.over
        plain.play(ply, action.numpy())
        state = states[ply + 1]
        mover = (plies % 2)[:, None, None]
        observation = np.stack([plain.boards == mover + 1, plain.boards == 2 - mover], 1)
        assert np.array_equal(game.observe(state).numpy(), observation)
        assert np.array_equal(game.legal(state).numpy(), plain.legal())
        assert np.array_equal(game.done(state).numpy(), plain.over)
        assert np.array_equal(game.reward(state).numpy(), plain.reward)


def almost_lines(game: LineGame, background: int) -> Iterator[tuple[Tensor, int, list[int]]]:
    """Boards [cells] on which the mover lacks one stone of a line; the action that adds it; its other cells.

    Cells off the line hold `background`; with gravity, those under the missing stone are the opponent's.
    """
    for line in lines(game):
        for target in line:
            board = torch.full((game.rows, game.columns), background, dtype=torch.int8)
            if game.gravity:
                board[: target[0], target[1]] = 0
                board[target[0] :, target[1]] = -1
            for row, column in line:
                board[row, column] = 1
            board[target] = 0
            if game.gravity and any(board[row, target[1]] for row in range(target[0])):
                continue  # a stone of the line would hang above the missing one
            others = [row * game.columns + column for row, column in line if (row, column) != target]
            yield board.flatten(), target[1] if game.gravity else target[0] * game.columns + target[1], others


@every_line_game
@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize("background", [0, -1], ids=["empty", "full"])
def test_every_line_wins_and_one_stone_less_does_not(
    name: str, options: dict[str, int], player: int, background: int
) -> None:
    game = games.make(name, **options)
    assert isinstance(game, LineGame)
    boards, actions, others = zip(*almost_lines(game, background), strict=True)
    cells, action = torch.stack(boards), torch.tensor(actions)
    plies = torch.full((len(cells),), player)
    running = torch.zeros(len(cells), dtype=torch.int8)
    after = game.step(LineState(cells, plies, running), action)
    assert (after.outcome == LAST_MOVER_WON).all()
    assert torch.equal(game.reward(after), torch.eye(2)[[player]].mul(2).sub(1).expand(len(cells), 2))
    lacking = cells.scatter(1, torch.tensor([row[:1] for row in others]), -1)
    # A line may be complete the other way round: keep the boards on which one stone less leaves none.
    own = lacking.scatter(1, (after.cells != -cells).int().argmax(1, keepdim=True), 1) == 1
    lonely = torch.from_numpy(~has_line(own.view(-1, game.rows, game.columns).numpy(), lines(game)))
    assert lonely.any()
    outcome = game.step(LineState(lacking, plies, running), action).outcome
    assert (outcome[lonely] == RUNNING).all()


@every_line_game
def test_the_last_stone_wins_before_it_draws(name: str, options: dict[str, int]) -> None:
    game = games.make(name, **options)
    assert isinstance(game, LineGame)
    line = next(line for line in lines(game) if (0, 0) in line)
    full = torch.full((game.rows, game.columns), -1, dtype=torch.int8)
    for row, column in line:
        full[row, column] = 1
    boards = torch.stack([full, torch.full_like(full, -1)]).flatten(1)
    boards[:, 0] = 0
    plies = torch.full((2,), game.max_plies - 1)
    after = game.step(LineState(boards, plies, torch.zeros(2, dtype=torch.int8)), torch.zeros(2).long())
    assert after.outcome.tolist() == [LAST_MOVER_WON, DRAWN]
    assert game.reward(after).abs().sum(1).tolist() == [2, 0]


def test_a_full_board_without_a_line_is_a_draw() -> None:
    game = games.make("tic_tac_toe")
    state = game.initial(1, CPU)
    for action in [0, 1, 2, 4, 3, 5, 7, 6, 8]:
        assert not game.done(state)
        state = game.step(state, torch.tensor([action]))
    assert game.done(state).item()
    assert game.reward(state).tolist() == [[0, 0]]
    assert game.render(state, 0) == "X O X\nX O O\nO X X"


def test_pictures_show_the_board_as_it_lies() -> None:
    game = games.make("connect_four", rows=3, columns=4, length=3)
    state = game.initial(2, CPU)
    for action in [3, 3, 1]:
        state = game.step(state, torch.tensor([0, action]))
    assert game.render(state, 1) == ". . . .\n. . . O\n. X . X\n1 2 3 4"


@pytest.mark.parametrize(
    ("name", "options", "number"),
    [("tic_tac_toe", {}, 8), ("tic_tac_toe", {"rows": 4, "columns": 7}, 4), ("connect_four", {}, 2)],
)
def test_all_the_boards_symmetries_are_there(name: str, options: dict[str, int], number: int) -> None:
    for table in games.make(name, **options).symmetries(CPU):
        assert len(table) == len(table.unique(dim=0)) == number


@every_line_game
def test_a_state_can_be_rebuilt_from_its_observation(name: str, options: dict[str, int]) -> None:
    game, states, _ = playout(name, options)
    for state in states:
        assert same(game.from_observation(game.observe(state)), state)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("conect_four", {}, "connect_four"),
        ("go", {}, "tic_tac_toe, connect_four"),
        ("connect_four", {"row": 5}, "rows, columns, length"),
        ("connect_four", {"rows": 0}, "at least 1"),
        ("tic_tac_toe", {"length": 4}, "length 4"),
        ("tic_tac_toe", {"length": 1}, "at least 2"),
    ],
)
def test_a_game_that_cannot_be_made_says_why(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        games.make(name, **options)
