"""`test_game`: the invariants that every game must satisfy, checked on random games."""

from collections.abc import Callable

from agents.games.checks import pictures, positions, rules
from agents.games.checks.playout import CPU, Playout, random_playout, same
from agents.games.game import Game

CHECKS: tuple[Callable[[Playout], None], ...] = (
    rules.shapes,
    pictures.pictures,
    pictures.names,
    rules.empty_batch,
    rules.legality,
    rules.finished_boards,
    rules.rewards,
    rules.turns,
    positions.observations,
    positions.keys,
    positions.codes,
    positions.history,
    positions.symmetries,
    positions.layout,
    positions.final_boards,
    rules.independence,
    rules.no_data,
)

__all__ = ["CHECKS", "CPU", "Playout", "random_playout", "same", "test_game"]


def test_game(game: Game, *, boards: int = 128, seed: int = 0) -> None:
    """Checks a game's invariants on `boards` random games. Call it in the tests of your own rules.

    Checked: shapes and dtypes, text and images, names of moves, legal actions and slots, turns, ends and rewards,
    observations, keys, codes of states, the history, symmetries, the layout of actions, final boards, independence of
    the boards, tensors without data (no wait for the device), and the end within `max_plies`.
    Raises AssertionError that names the broken invariant and the fix.
    """
    what = "random games"
    try:
        playout = random_playout(game, boards, seed)
        for check in CHECKS:
            what = (check.__doc__ or "").rstrip(".").lower()
            check(playout)
    except AssertionError as error:
        raise AssertionError(f"{game.name}: {error}") from None
    except Exception as error:
        raise AssertionError(f"{game.name}: the check of {what} raised {type(error).__name__}: {error}") from error


test_game.__test__ = False  # type: ignore[attr-defined]  # pytest does not collect it where it is imported
