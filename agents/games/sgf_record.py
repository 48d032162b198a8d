"""`Game.read_record` of the games that have a form in SGF."""

from typing import Any

import torch

from agents.games.game import Game, Record


def read_sgf_record(game: Game, text: str, device: torch.device) -> Record | None:
    """The main line of a game in SGF, by the rules of `game`; None for a text that is no SGF.

    Raises UserError that names the mistake of a text in SGF.
    """
    from agents.games.sgf import has_sgf, read_sgf  # which imports the games
    from agents.games.sgf.tree import looks_like_sgf

    if not looks_like_sgf(text) or not has_sgf(game):
        return None
    read = read_sgf(text, game)
    start: Any = type(read.start)(*(field.to(device) for field in read.start))
    names, state = [], read.start
    for action in read.actions:
        names.append(game.move_name(state, action))
        state = game.step(state, torch.tensor([action]))
    return Record(start, names, [str(number) for number in range(1, len(names) + 1)])
