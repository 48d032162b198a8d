"""Random games of Breakthrough against OpenSpiel."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agents.games.breakthrough import Breakthrough

pyspiel = pytest.importorskip("pyspiel")
CPU = torch.device("cpu")


def their_board(state: Any, rows: int, columns: int) -> NDArray[np.int8]:
    """int8 [rows, columns] as their first player sees it: 0 and 1 for the players' pawns, else -1.

    Their first player, black, begins on top: the board is turned upside down.
    """
    lines = str(state).splitlines()[:rows]
    signs = {"b": 0, "w": 1, ".": -1}
    return np.array([[signs[sign] for sign in line[1 : columns + 1]] for line in lines[::-1]], np.int8)


def observation(board: NDArray[np.int8], player: int) -> NDArray[np.float32]:
    seen = board if player == 0 else board[::-1]
    return np.stack([seen == player, seen == 1 - player]).astype(np.float32)


def their_name(name: str, rows: int) -> str:
    """Our a2xb3 as their a7b6."""
    cells = name.replace("x", "")
    middle = next(i for i in range(2, len(cells)) if cells[i].isalpha())
    return "".join(f"{cell[0]}{rows + 1 - int(cell[1:])}" for cell in (cells[:middle], cells[middle:]))


def agree_with_openspiel(rows: int, columns: int, boards: int, seed: int) -> int:
    """Random games, each position compared; returns the number of games that a capture of the last pawn ended."""
    game = Breakthrough(rows, columns)
    referee = pyspiel.load_game("breakthrough", {"rows": rows, "columns": columns})
    rng = np.random.default_rng(seed)
    state = game.initial(boards, CPU)
    theirs = [referee.new_initial_state() for _ in range(boards)]
    captured_all = 0
    while True:
        legal, done = game.legal(state).numpy(), game.done(state).numpy()
        reward, player = game.reward(state).numpy(), game.player(state).tolist()
        both = [game.observe(state, torch.full((boards,), side)).numpy() for side in (0, 1)]
        for b, other in enumerate(theirs):
            board = their_board(other, rows, columns)
            assert other.is_terminal() == done[b]
            assert other.returns() == reward[b].tolist()
            for side in (0, 1):
                assert np.array_equal(both[side][b], observation(board, side))
            captured_all += bool(done[b]) and not ((board == 0).any() and (board == 1).any())
        if done.all():
            return captured_all
        actions = (rng.random(legal.shape) * legal).argmax(1)
        keep = np.flatnonzero(~done).tolist()
        for b in keep:
            assert theirs[b].current_player() == player[b]
            names = {theirs[b].action_to_string(a).replace("*", ""): a for a in theirs[b].legal_actions()}
            ours = {a: their_name(game.move_name(state, a, index=b), rows) for a in np.flatnonzero(legal[b]).tolist()}
            assert sorted(ours.values()) == sorted(names)
            theirs[b].apply_action(names[ours[int(actions[b])]])
        # Games that are over stay in the batch and are not compared again.
        theirs = [theirs[b] for b in keep]
        state = type(state)(*(field[keep] for field in game.step(state, torch.from_numpy(actions))))
        boards = len(keep)


@pytest.mark.parametrize(("rows", "columns", "boards"), [(8, 8, 4), (6, 6, 16), (5, 7, 16)])
def test_a_few_random_games_agree_with_openspiel(rows: int, columns: int, boards: int) -> None:
    agree_with_openspiel(rows, columns, boards, seed=rows)


@pytest.mark.slow
def test_300_random_games_agree_with_openspiel() -> None:
    for rows, columns in ((8, 8), (6, 6), (4, 4), (4, 6), (7, 5)):
        agree_with_openspiel(rows, columns, 60, seed=1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("rows", "columns", "boards"), [(8, 8, 10_000), (6, 6, 10_000), (5, 4, 2_000), (9, 7, 1_000)])
def test_10_000_random_games_agree_with_openspiel(rows: int, columns: int, boards: int) -> None:
    for seed in range(0, boards, 500):
        agree_with_openspiel(rows, columns, 500, seed)
