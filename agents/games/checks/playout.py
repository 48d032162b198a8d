"""Random games of several boards, and how a check reports a broken invariant."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.games.game import Game

CPU = torch.device("cpu")


class Playout(NamedTuple):
    """B random games side by side: T + 1 states and the T actions between them, until every board is over."""

    game: Any
    states: list[Any]
    actions: list[Tensor]


def random_playout(game: Game, boards: int, seed: int = 0) -> Playout:
    """Random games. Raises AssertionError when one has more than `max_plies` plies."""
    generator = torch.Generator().manual_seed(seed)
    states = [game.initial(boards, CPU)]
    actions: list[Tensor] = []
    while not game.done(states[-1]).all():
        require(
            len(actions) < game.max_plies,
            f"a game lasts longer than max_plies {game.max_plies}",
            "raise max_plies to the longest possible game, or end games in `done`",
        )
        legal = game.legal(states[-1])
        # Boards that are over get any action: `step` must not change them.
        weight = torch.where(legal.any(1, keepdim=True), legal, True).float()
        actions.append(torch.multinomial(weight, 1, generator=generator)[:, 0])
        states.append(game.step(states[-1], actions[-1]))
    return Playout(game, states, actions)


def same(a: Any, b: Any) -> bool:
    """Whether two states are equal, dtypes included."""
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True))


def require(holds: bool | Tensor, broken: str, fix: str) -> None:
    if not holds:
        raise AssertionError(f"{broken}. Fix: {fix}.")
