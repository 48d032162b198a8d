"""The solver of Hex against minimax over all positions of a small board, and the shipped positions."""

from typing import Any

from agents.arena.minimax import solve
from agents.games.hex import Hex
from agents.games.hex.solver import HexSolver


def test_all_positions_of_3x3_cells_have_the_outcomes_of_minimax() -> None:
    game = Hex(3, swap=False)
    solution = solve(game)
    positions, solver = solution.positions(), HexSolver(3)
    states: Any = positions.states
    expected = positions.scores.sign().tolist()
    for board in range(0, len(positions), 3):
        player = int(states.plies[board]) % 2
        owners = game.owners(states, board)
        stones = [sum(1 << cell for cell in range(9) if owners[cell] == sign) for sign in (1, -1)]
        outcomes = solver.outcomes(stones, player)
        for cell, wins in outcomes.items():
            row, column = divmod(cell, 3)
            seen = column * 3 + row if player else cell
            assert expected[board][seen] == (1 if wins else -1)


def test_the_first_player_wins_from_the_empty_board() -> None:
    for size in (2, 3, 4):
        assert HexSolver(size).solve(0, 0, 0).wins
    # Known: on 4x4 the four cells of the short diagonal win, and two beside it.
    wins = HexSolver(4).outcomes((0, 0), 0)
    assert all(wins[cell] for cell in (3, 6, 9, 12))


def test_a_chain_of_bridges_wins_although_the_opponent_moves() -> None:
    # c2 and b4 of 5x5 cells are linked by b3 and c3, and each with its edge by two cells.
    stones = 1 << 7 | 1 << 16
    proof = HexSolver(5).solve(stones, 1 << 0, 1)
    assert not proof.wins and proof.carrier == sum(1 << cell for cell in (2, 3, 11, 12, 20, 21))
