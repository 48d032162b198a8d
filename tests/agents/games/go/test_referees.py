"""Go against programs that others wrote: OpenSpiel for the rules, GNU Go for the score of games played to the end."""

import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
import torch

from agents.games.go import Go
from agents.games.go.geometry import geometry

CPU = torch.device("cpu")
GNU_GO = shutil.which("gnugo") or shutil.which("gnugo", path="/usr/games")


def agree_with_openspiel(game: Go, boards: int, seed: int) -> int:
    """Random games; returns the number of moves that positional superko forbade.

    OpenSpiel has simple ko, and ends a game as a draw at the move that repeats an earlier position.
    """
    pyspiel = pytest.importorskip("pyspiel")
    size, points = game.size, game.points
    referee = pyspiel.load_game(
        "go", {"board_size": size, "komi": game.komi, "max_game_length": game.max_plies}
    )  # fmt: skip
    # OpenSpiel numbers points from the bottom left.
    theirs = np.append(np.arange(points).reshape(size, size)[::-1].ravel(), points)
    rng = np.random.default_rng(seed)
    state = game.initial(boards, CPU)
    games = [referee.new_initial_state() for _ in range(boards)]
    forbidden = 0
    while not bool(game.done(state).all()):
        legal, done = game.legal(state).numpy(), game.done(state).numpy()
        weight = rng.random(legal.shape) * legal
        weight[:, -1] *= 1e-9  # a pass only where nothing else is legal: longer games, more repetitions
        actions = weight.argmax(1)
        for b in np.flatnonzero(~done):
            allowed = set(theirs[legal[b]].tolist())
            simple_ko = set(games[b].legal_actions())
            assert allowed <= simple_ko
            for action in simple_ko - allowed:
                repeated = games[b].child(action)
                assert repeated.is_terminal() and repeated.returns() == [0, 0]
                forbidden += 1
            games[b].apply_action(int(theirs[actions[b]]))
        state = game.step(state, torch.from_numpy(actions))
        ended, reward = game.done(state).numpy(), game.reward(state).numpy()
        for b in np.flatnonzero(~done):
            assert games[b].is_terminal() == ended[b]
            if ended[b]:
                assert games[b].returns() == reward[b].tolist()
    return forbidden


def test_random_games_agree_with_openspiel() -> None:
    assert agree_with_openspiel(Go(3, komi=0.5), 100, 0) > 0
    agree_with_openspiel(Go(9), 2, 0)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("size", "boards"), [(5, 4000), (7, 3000), (9, 2900), (19, 100)])
def test_10_000_random_games_agree_with_openspiel(size: int, boards: int) -> None:
    for seed in range(0, boards, 500):
        agree_with_openspiel(Go(size), min(500, boards - seed), seed)


def without_own_eyes(game: Go, state: Any) -> torch.Tensor:
    """bool [B, A]: legal moves, but points whose neighbours are all the mover's stones; a pass only without another."""
    board = geometry(game.size, CPU)
    own = 1 - 2 * (state.plies % 2)[:, None]
    around = state.stones[:, board.sides[:-1]]  # [B, P, 4]
    eye = ((around == own[:, :, None]) | (around == 2)).all(2)
    moves = state.allowed.clone()
    moves[:, :-1] &= ~eye
    moves[:, -1] &= ~moves[:, :-1].any(1)
    return moves


def in_atari(game: Go, state: Any) -> torch.Tensor:
    """bool [B]: whether a chain has only one liberty, so that the game was ended by superko and not by life."""
    board = geometry(game.size, CPU)
    around = state.chains[:, board.sides[:-1]]
    last = torch.zeros(len(state.plies), dtype=torch.bool)
    for side in range(4):
        count, beside = state.liberties[:, board.sides[:-1, side]], around[:, :, side : side + 1]
        empty = state.stones[:, board.cells[:-1]] == 0
        last |= ((count == (around == beside).sum(2)) & empty & (beside[:, :, 0] > 0)).any(1)
    return last


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(GNU_GO is None, reason="gnugo is not installed")
@pytest.mark.parametrize(("size", "boards"), [(5, 400), (9, 200), (13, 60), (19, 40)])
def test_scores_of_finished_games_agree_with_gnu_go(size: int, boards: int) -> None:
    """Random games that go on until nothing is left but eyes, so that all stones that can be captured are."""
    assert GNU_GO is not None
    game = Go(size, komi=6.5, max_plies=6 * size**2)
    generator = torch.Generator().manual_seed(size)
    state = game.initial(boards, CPU)
    while not bool(game.done(state).all()):
        weight = without_own_eyes(game, state).float()
        weight[game.done(state)] = 1
        state = game.step(state, torch.multinomial(weight, 1, generator=generator)[:, 0])
    settled = (~in_atari(game, state) & (state.plies < game.max_plies)).nonzero()[:, 0].tolist()
    assert len(settled) >= 3
    lines = []
    for b in settled:
        lines += [f"boardsize {size}", "clear_board", f"komi {game.komi}"]
        stones = game.stones(state, b)
        for colour, sign in (("black", 1), ("white", -1)):
            lines += [f"play {colour} {game.action_names[p]}" for p in range(game.points) if stones[p] == sign]
        lines.append("final_score 1")
    out = subprocess.run(
        [GNU_GO, "--mode", "gtp", "--chinese-rules", "--level", "1"],
        input="\n".join([*lines, "quit", ""]), capture_output=True, text=True, check=True, timeout=600,
    ).stdout  # fmt: skip
    results = [line[2:] for line in out.splitlines() if line[:3] in ("= B", "= W", "= 0")]
    # GNU Go writes B+12.5.
    margins = [float(state.score[b]) - game.komi for b in settled]
    assert results == [f"{'B' if margin > 0 else 'W'}+{abs(margin):.1f}" for margin in margins]
