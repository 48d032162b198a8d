"""Games of a match are played to the end: boards in batches, and whole games where a player needs to know the moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.arena.line import Line
from agents.arena.openings import Openings
from agents.arena.players import AnyPlayer, EvaluatingPlayer, Forfeit, LinePlayer, to_device
from agents.arena.positions import CPU
from agents.games.game import Game, select
from agents.games.played import PlayedGame

CHUNK = 512  # boards per call of a player


class Games(NamedTuple):
    """G games that are to be played.

    opening: int64 [G], the number of each game's opening. sides: int64 [G, 2], the numbers of the players who move
    first and second. ids: int64 [G], different.
    """

    starts: Openings
    opening: Tensor
    sides: Tensor
    ids: Tensor


@dataclass
class MatchGame:
    """A game of a match.

    opening: the number of its opening. sides: the numbers of the players who move first and second. actions: from the
    first position on, with the moves of the opening, of which there are `opening_plies`. reward: of both players, once
    it is over. forfeit: the side, 0 or 1, that gave the game up, and why. values: of the moves, what a player that
    evaluates expected of its own; None for others and for the opening.
    """

    game: Game
    starts: Openings = field(repr=False)
    opening: int
    sides: tuple[int, int]
    actions: list[int]
    opening_plies: int
    reward: tuple[float, float] | None = None
    forfeit: tuple[int, Forfeit] | None = None
    values: list[float | None] = field(default_factory=list)

    def line(self) -> Line:
        """The game's first position and moves; the list of moves is that of this record, and grows with it."""
        start = select(self.starts.starts, torch.tensor([self.opening], device=self.starts.actions.device))
        return Line(self.game, to_device(start, CPU), self.actions)

    def record(self, names: tuple[str, str], number: int) -> PlayedGame:
        """The game for a file. names: of the players who move first and second; number: of the game, from 1."""
        side, forfeit = self.forfeit or (0, None)
        return PlayedGame(
            self.game,
            self.line().start,
            list(self.actions),
            values=list(self.values),
            players=names,
            winner=None if forfeit is None else 1 - side,
            ending="" if forfeit is None else "forfeit" if forfeit.fault else "resignation",
            round=str(number),
        )


Enough = Callable[[Sequence[MatchGame]], bool]
"""Called with the games that have ended, in their order and up to the first that has not: whether to stop."""


def play_out(
    game: Game,
    players: Sequence[AnyPlayer],
    games: Games,
    *,
    limit: int | None = None,
    progress: Callable[[int], None] = lambda count: None,
    enough: Enough = lambda ended: False,
) -> list[MatchGame]:
    """Play G games to the end, or until there are enough; returns all of them, in order.

    limit: how many are played at the same time, all by default. progress: called after each ply with the number of
    games that ended.
    """
    table = _Table(game, players, games)
    try:
        total, together = len(games.ids), limit or len(games.ids)
        rows = torch.arange(min(together, total), device=games.ids.device)
        following, in_order = len(rows), 0
        states = select(games.starts.states, games.opening[rows])
        while len(rows):
            states, over = table.ply(rows, states)
            progress(int(over.sum()))
            if not bool(over.any()):
                continue
            while in_order < total and table.played[in_order].reward is not None:
                in_order += 1
            if enough(table.played[:in_order]):
                break
            going = (~over).nonzero()[:, 0]
            rows, states = rows[going], select(states, going)
            fresh = torch.arange(following, min(following + together - len(rows), total), device=rows.device)
            if len(fresh):
                new = select(games.starts.states, games.opening[fresh])
                states = type(new)(*(torch.cat(both) for both in zip(states, new, strict=True)))
                rows, following = torch.cat([rows, fresh]), following + len(fresh)
    finally:
        table.close()
    return table.played


class _Table:
    """All games with what was played so far."""

    def __init__(self, game: Game, players: Sequence[AnyPlayer], games: Games) -> None:
        self.game, self.players, self.games = game, players, games
        moves = [games.starts.moves(number) for number in range(len(games.starts.actions))]
        self.played = [
            MatchGame(
                game,
                games.starts,
                number,
                (first, second),
                list(moves[number]),
                len(moves[number]),
                values=[None] * len(moves[number]),
            )
            for number, (first, second) in zip(games.opening.tolist(), games.sides.tolist(), strict=True)
        ]
        self._lines: dict[int, Line] = {}  # of running games, by row

    def ply(self, rows: Tensor, states: Any) -> tuple[Any, Tensor]:
        """Play one move in the games `rows` int64 [N], whose states are given.

        Returns the states after it and which games have ended, bool [N].
        """
        actions, values, forfeits = self._chosen(rows, states)
        states = self.game.step(states, actions)
        over = self.game.done(states)
        rewards = self.game.reward(states).tolist()
        for place, (row, action) in enumerate(zip(rows.tolist(), actions.tolist(), strict=True)):
            if place in forfeits:
                side = forfeits[place][0]
                over[place] = True
                self.played[row].forfeit = forfeits[place]
                self.played[row].reward = (-1.0, 1.0) if side == 0 else (1.0, -1.0)
            else:
                self.played[row].actions.append(action)
                self.played[row].values.append(values[place])
        for place in over.nonzero()[:, 0].tolist():
            row = int(rows[place])
            if place not in forfeits:
                self.played[row].reward = (rewards[place][0], rewards[place][1])
            self._finish(row)
        return states, over

    def _chosen(self, rows: Tensor, states: Any) -> tuple[Tensor, list[float | None], dict[int, tuple[int, Forfeit]]]:
        """The action of each game, int64 [N], and its value, None if unknown.

        Also, by number in 0 ... N - 1, the forfeits with the side that gives up. The board of a game that is given up
        gets some legal action.
        """
        side = self.game.player(states)
        mover = self.games.sides[rows].gather(1, side[:, None])[:, 0]
        plies = torch.tensor([self._plies(row) for row in rows.tolist()], device=rows.device)
        actions = torch.zeros_like(mover)
        values: list[float | None] = [None] * len(rows)
        forfeits: dict[int, tuple[int, Forfeit]] = {}
        for number, player in enumerate(self.players):
            places = (mover == number).nonzero()[:, 0]
            if not len(places):
                continue
            if isinstance(player, LinePlayer):
                ids = self.games.ids[rows[places]].tolist()
                chosen = player.choose_moves([self._line(row) for row in rows[places].tolist()], ids)
                for place, choice in zip(places.tolist(), chosen, strict=True):
                    if isinstance(choice, Forfeit):
                        forfeits[place] = (int(side[place]), choice)
                        actions[place] = self.game.legal_actions(select(states, side.new_tensor([place])))[0, 0]
                    else:
                        actions[place] = choice
                continue
            for part in places.split(CHUNK):
                asked = select(states, part), self.games.ids[rows[part]], plies[part]
                if isinstance(player, EvaluatingPlayer):
                    actions[part], expected = player.choose_and_evaluate(*asked)
                    for place, value in zip(part.tolist(), expected.tolist(), strict=True):
                        values[place] = value
                else:
                    actions[part] = player.choose(*asked)
        return actions, values, forfeits

    def _plies(self, row: int) -> int:
        """Moves since the opening."""
        return len(self.played[row].actions) - self.played[row].opening_plies

    def _line(self, row: int) -> Line:
        if row not in self._lines:
            self._lines[row] = self.played[row].line()
        return self._lines[row]

    def _finish(self, row: int) -> None:
        self._lines.pop(row, None)
        for number in self.played[row].sides:
            player = self.players[number]
            if isinstance(player, LinePlayer):
                player.finish(int(self.games.ids[row]))

    def close(self) -> None:
        """Games that are not played on are over for their players."""
        for row in list(self._lines):
            self._finish(row)
