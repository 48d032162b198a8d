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


def test_moves_after_a_carrier_was_left_lose() -> None:
    solver = HexSolver(4)
    proof = solver.solve(0, 1 << 5, 0)
    assert proof.move & proof.carrier and not proof.carrier & (1 << 5)
