"""Matches between players: each opening is played with both colours; all games of all pairs are one batch."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.arena.elo import Rating, ratings
from agents.arena.players import Player, random_moves, to_device
from agents.arena.positions import CPU
from agents.games.game import Game, concatenate, select, where
from agents.games.played import PlayedGame
from lab import rng

CHUNK = 512  # boards per call of a player
_IDS_PER_PAIR = 1 << 32
_FIRST_SAMPLES = 1024  # openings sampled in the first round; each later round doubles the number of samples
_ENOUGH_SAMPLES = 16  # samples per different opening after which a round without a new one ends the sampling

_LONGEST_OPENING = 10  # plies; the limit of a long game says nothing about its opening


@dataclass(frozen=True)
class WinDrawLoss:
    """Results of one player's games against another, with one colour."""

    won: int
    drawn: int
    lost: int

    @property
    def games(self) -> int:
        return self.won + self.drawn + self.lost

    @property
    def points(self) -> float:
        return self.won + self.drawn / 2

    def __add__(self, other: "WinDrawLoss") -> "WinDrawLoss":
        return WinDrawLoss(self.won + other.won, self.drawn + other.drawn, self.lost + other.lost)


@dataclass(frozen=True)
class Pairing:
    """The games of two players; both results are those of `player`.

    results: 1, 0 or -1 for `player`, game by game; it moves first in games of even number. Games 2k and 2k + 1 have the
    same opening. games: the games themselves, if they were kept.
    """

    player: str
    opponent: str
    first: WinDrawLoss
    second: WinDrawLoss
    results: list[int]
    games: Sequence[PlayedGame] = ()

    @property
    def total(self) -> WinDrawLoss:
        return self.first + self.second


@dataclass(frozen=True)
class Result:
    """A round robin: every pairing, and ratings in the order of the players.

    distinct_openings: number of different openings that each pair played; less than half its games where the game
    has no more.
    """

    pairings: list[Pairing]
    ratings: list[Rating]
    distinct_openings: int


class Openings(NamedTuple):
    """N running boards; the first `distinct` are different, later ones repeat them in order.

    first: the boards before the moves of the openings. moves: int64 [N, P], these moves, then -1.
    """

    states: Any
    distinct: int
    first: Any
    moves: Tensor


def match(
    game: Game, player: Player, opponent: Player, *, games: int, seed: int = 0, device: torch.device = CPU
) -> Pairing:
    """`games` games (made even) between two players."""
    return play_pairings(game, [player, opponent], [(0, 1)], openings(game, (games + 1) // 2, seed, device))[0]


def round_robin(
    game: Game,
    players: Sequence[Player],
    *,
    games: int,
    seed: int = 0,
    device: torch.device = CPU,
    progress: Callable[[int], None] = lambda count: None,
    keep_games: bool = False,
) -> Result:
    """Every pair of players plays `games` games (made even).

    Ratings are relative to the player named "random", or to the first. progress: called
    after each ply with the number of games that ended. keep_games: return the games themselves too.
    """
    pairs = list(itertools.combinations(range(len(players)), 2))
    starts = openings(game, (games + 1) // 2, seed, device)
    pairings = play_pairings(game, players, pairs, starts, progress, keep_games=keep_games)
    score = np.zeros((len(players), len(players)))
    played = np.zeros_like(score)
    for (a, b), pairing in zip(pairs, pairings, strict=True):
        total = pairing.total
        score[a, b], score[b, a] = total.points, total.games - total.points
        played[a, b] = played[b, a] = total.games
    names = [p.name for p in players]
    anchor = names.index("random") if "random" in names else 0
    return Result(pairings, ratings(names, score, played, anchor), starts.distinct)


def play_pairings(
    game: Game,
    players: Sequence[Player],
    pairs: Sequence[tuple[int, int]],
    starts: Openings,
    progress: Callable[[int], None] = lambda count: None,
    *,
    keep_games: bool = False,
) -> list[Pairing]:
    """Each pair of players plays each opening twice, once with each colour.

    A game depends on its opening, the opening's number and the numbers of its two players, not on other games.
    """
    device = game.done(starts.states).device
    games = 2 * len(game.done(starts.states))
    number = torch.arange(games, device=device)
    one = select(starts.states, number // 2)
    states = type(one)(*(f.repeat(len(pairs), *[1] * (f.dim() - 1)) for f in one))
    # [games of all pairs, 2]: who moves first and who second; colours alternate within an opening.
    sides = torch.cat([torch.tensor([(a, b), (b, a)], device=device).repeat(games // 2, 1) for a, b in pairs])
    ids = torch.cat([(b * (b - 1) // 2 + a) * _IDS_PER_PAIR + number for a, b in map(sorted, pairs)])
    moves: list[Tensor] | None = [] if keep_games else None
    reward = play_out(game, players, states, sides, ids, progress, moves)
    pairings = []
    for index, ((a, b), rows) in enumerate(zip(pairs, reward.view(len(pairs), games, 2), strict=True)):
        results = torch.where(number % 2 == 0, rows[:, 0], rows[:, 1]).to(torch.int64)
        first, second = _tally(results[::2]), _tally(results[1::2])
        names = (players[a].name, players[b].name)
        of_pair = [] if moves is None else [ply[index * games : (index + 1) * games] for ply in moves]
        played = [] if moves is None else _played_games(game, starts, of_pair, names)
        pairings.append(Pairing(*names, first, second, results.tolist(), played))
    return pairings


def _played_games(game: Game, starts: Openings, plies: Sequence[Tensor], names: tuple[str, str]) -> list[PlayedGame]:
    """The games of two players; plies: the moves int64 `[G]` of each ply, -1 in games that are over."""
    opening = starts.moves.repeat_interleave(2, 0)
    moves = torch.cat([opening, *(ply[:, None] for ply in plies)], 1).tolist()
    first = to_device(starts.first, CPU)
    return [
        PlayedGame(
            game,
            select(first, torch.tensor([number // 2])),
            [action for action in actions if action >= 0],
            players=names if number % 2 == 0 else (names[1], names[0]),
            round=str(number + 1),
        )
        for number, actions in enumerate(moves)
    ]


def play_out(
    game: Game,
    players: Sequence[Player],
    states: Any,
    sides: Tensor,
    ids: Tensor,
    progress: Callable[[int], None] = lambda count: None,
    moves: list[Tensor] | None = None,
) -> Tensor:
    """Play G boards to the end; returns the rewards, float32 `[G, 2]`.

    sides: int64 [G, 2], indices of the players who move first and second; ids: int64 [G]. moves: a list to which each
    ply's moves int64 [G] are appended, -1 on boards that are over.
    """
    ended = 0
    for ply in itertools.count():
        running = ~game.done(states)
        progress(int((~running).sum()) - ended)
        ended = int((~running).sum())
        if ended == len(ids):
            return game.reward(states)
        mover = sides.gather(1, game.player(states)[:, None])[:, 0]
        action = torch.zeros_like(mover)
        for number, player in enumerate(players):
            for rows in (running & (mover == number)).nonzero()[:, 0].split(CHUNK):
                if len(rows):
                    action[rows] = player.choose(select(states, rows), ids[rows], torch.full_like(rows, ply))
        if moves is not None:
            moves.append(torch.where(running, action, -1).cpu())
        states = game.step(states, action)
    raise AssertionError("unreachable")


def openings(game: Game, count: int, seed: int, device: torch.device = CPU) -> Openings:
    """`count` different running boards after a few random moves; they repeat if the game has fewer.

    The number of moves is a ninth of the longest game, from 2 to 10 (4 in Connect Four). Opening k depends only on the
    seed, not on `count`: openings are sampled with replacement, and each new one gets the next number.
    """
    none = game.initial(0, device)
    found = Openings(none, 0, none, torch.zeros(0, _plies(game), dtype=torch.int64))
    sampled = 0
    while found.distinct < count:
        end = max(2 * sampled, _FIRST_SAMPLES)
        fresh = _random_openings(game, torch.arange(sampled, end, device=device), seed)
        sampled, before = end, found.distinct
        states, first = concatenate([found.states, fresh.states]), concatenate([found.first, fresh.first])
        moves = torch.cat([found.moves, fresh.moves])
        new = _first_of_each(game.key(states))
        found = Openings(select(states, new), len(new), select(first, new), moves[new.cpu()])
        if found.distinct == before and sampled >= _ENOUGH_SAMPLES * found.distinct:
            break
    index = torch.arange(count, device=device) % max(found.distinct, 1)
    return Openings(
        select(found.states, index), min(found.distinct, count), select(found.first, index), found.moves[index.cpu()]
    )


def _random_openings(game: Game, number: Tensor, seed: int) -> Openings:
    """A running board for each number int64 `[B]`, after random legal moves."""
    first = state = game.sample_initial(seed, number)
    moves = []
    for ply in range(_plies(game)):
        action = random_moves(game, state, seed, int(rng.Stream.RANDOM_OPENING), number, ply)
        after = game.step(state, action)
        over = game.done(after)
        moves.append(torch.where(over, -1, action).cpu())
        state = where(over, state, after)
    return Openings(state, 0, first, torch.stack(moves, 1))


def _plies(game: Game) -> int:
    """Moves of an opening."""
    return min(max(2, game.max_plies // 9), _LONGEST_OPENING)


def _first_of_each(keys: Tensor) -> Tensor:
    """Indices of the first occurrence of each key int64 `[N]`, in order."""
    known, group = torch.unique(keys, return_inverse=True)
    rows = torch.arange(len(keys), device=keys.device)
    return torch.full_like(known, len(keys)).scatter_reduce_(0, group, rows, "amin").sort().values


def _tally(results: Tensor) -> WinDrawLoss:
    return WinDrawLoss(*(int((results == value).sum()) for value in (1, 0, -1)))
