"""Games of lines: against rules written another way, on every line of a board, and rebuilt from what they show."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents import games
from agents.games.line_game import DRAWN, LAST_MOVER_WON, RUNNING, LineGame, LineState
from tests.agents.playouts import CASES, CPU, IDS, playout

LINE_CASES = [case for case in CASES if isinstance(games.make(case[0], **case[1]), LineGame)]
LINE_IDS = [IDS[CASES.index(case)] for case in LINE_CASES]
every_line_game = pytest.mark.parametrize(("name", "options"), LINE_CASES, ids=LINE_IDS)


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
        for rebuilt, field in zip(game.from_observation(game.observe(state)), state, strict=True):
            assert rebuilt.dtype == field.dtype and torch.equal(rebuilt, field)
