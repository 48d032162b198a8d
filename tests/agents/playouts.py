"""Random games, recorded ply by ply, for tests of rules."""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents import games

CPU = torch.device("cpu")

# Boards apart from each game's own: narrow, wide, odd, and lines that fit in one direction only.
OPTIONS: dict[str, list[dict[str, int]]] = {
    "tic_tac_toe": [
        {"rows": 5, "columns": 5, "length": 4},
        {"rows": 2, "columns": 4, "length": 3},
        {"rows": 5, "columns": 1, "length": 2},
        {"rows": 4, "columns": 7, "length": 5},
    ],
    "connect_four": [
        {"rows": 4, "columns": 5, "length": 3},
        {"rows": 2, "columns": 5, "length": 4},
        {"rows": 7, "columns": 3, "length": 4},
        {"rows": 9, "columns": 10, "length": 5},
    ],
}
CASES = [(name, options) for name in games.GAMES for options in [{}, *OPTIONS.get(name, [])]]
IDS = ["-".join([name, *map(str, options.values())]) for name, options in CASES]


class Playout(NamedTuple):
    """B random games side by side: T + 1 states and the T actions between them, until every board is over."""

    game: Any
    states: list[Any]
    actions: list[Tensor]


def random_actions(legal: Tensor, generator: torch.Generator) -> Tensor:
    """int64 [B]: uniform over the legal actions, and over all actions on boards that are over."""
    return torch.multinomial(torch.where(legal.any(1, keepdim=True), legal, True).float(), 1, generator=generator)[:, 0]


def play(game: Any, batch: int, seed: int = 0) -> Playout:
    generator = torch.Generator().manual_seed(seed)
    states, actions = [game.initial(batch, CPU)], []
    while not game.done(states[-1]).all():
        actions.append(random_actions(game.legal(states[-1]), generator))
        states.append(game.step(states[-1], actions[-1]))
        assert len(actions) <= game.max_plies, "games must end"
    return Playout(game, states, actions)


@cache
def _play(name: str, options: tuple[tuple[str, int], ...], batch: int) -> Playout:
    return play(games.make(name, **dict(options)), batch)


def playout(name: str, options: dict[str, int], batch: int = 64) -> Playout:
    """The same random games for every test that asks for them."""
    return _play(name, tuple(options.items()), batch)
