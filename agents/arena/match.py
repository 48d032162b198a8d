"""Matches between players: each opening is played with both colours."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from agents.arena.elo import Rating, ratings
from agents.arena.openings import Openings, openings
from agents.arena.pentanomial import Counts, counts_of
from agents.arena.play_out import Games, MatchGame, play_out
from agents.arena.players import AnyPlayer, LinePlayer
from agents.arena.positions import CPU
from agents.arena.sprt import Decision, Sprt
from agents.games.game import Game
from agents.games.played import PlayedGame

_IDS_PER_PAIR = 1 << 32
_GAMES_OF_A_TEST = 64  # played at the same time in a match that may stop early

Progress = Callable[[int], None]


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
class Fault:
    """A player lost a game in another way than on the board. game: from 0; ply: moves played before."""

    player: str
    game: int
    ply: int
    reason: str


@dataclass(frozen=True)
class Pairing:
    """The games of two players; all results are those of `player`.

    results: 1, 0 or -1 for `player`, game by game; it moves first in games of even number. Games 2k and 2k + 1 have the
    same opening. games: the games themselves, in the same order.
    """

    player: str
    opponent: str
    first: WinDrawLoss
    second: WinDrawLoss
    results: list[int]
    games: Sequence[MatchGame] = field(default=(), compare=False, repr=False)

    @property
    def total(self) -> WinDrawLoss:
        return self.first + self.second

    def records(self) -> list[PlayedGame]:
        """The games for a file, in order."""
        names, exchanged = (self.player, self.opponent), (self.opponent, self.player)
        return [game.record(exchanged if number % 2 else names, number + 1) for number, game in enumerate(self.games)]

    @property
    def faults(self) -> list[Fault]:
        """Games that a player lost because it broke down or played no legal move."""
        names = (self.player, self.opponent)
        return [
            Fault(names[(number + side) % 2], number, len(game.actions), forfeit.reason)
            for number, game in enumerate(self.games)
            for side, forfeit in [game.forfeit or (0, None)]
            if forfeit is not None and forfeit.fault
        ]

    @property
    def pairs(self) -> Counts:
        """Number of openings in whose two games `player` had 0, 1/2, 1, 3/2 and 2 points."""
        return counts_of(self.results)


@dataclass(frozen=True)
class Result:
    """A round robin: every pairing, and ratings in the order of the players.

    distinct_openings: number of different openings that each pair played; less than half its games where the game
    has no more.
    """

    pairings: list[Pairing]
    ratings: list[Rating]
    distinct_openings: int


@dataclass(frozen=True)
class SequentialResult:
    """A match with a sequential test of its player.

    decision: None where the games ran out before. ratings: of the opponent, who has 0, and of the player.
    """

    test: Sprt
    pairing: Pairing
    decision: Decision | None
    ratings: list[Rating]
    distinct_openings: int

    @property
    def llr(self) -> float:
        return self.test.llr(self.pairing.pairs)


def match(
    game: Game, player: AnyPlayer, opponent: AnyPlayer, *, games: int, seed: int = 0, device: torch.device = CPU
) -> Pairing:
    """`games` games (made even) between two players."""
    return play_pairings(game, [player, opponent], [(0, 1)], openings(game, (games + 1) // 2, seed, device))[0]


def round_robin(
    game: Game,
    players: Sequence[AnyPlayer],
    starts: Openings,
    *,
    concurrency: int = 1,
    progress: Progress = lambda count: None,
) -> Result:
    """Every pair of players plays each opening twice, once with each colour.

    Ratings are relative to the player named "random", or to the first. Other arguments as in `play_pairings`.
    """
    pairs = list(itertools.combinations(range(len(players)), 2))
    pairings = play_pairings(game, players, pairs, starts, concurrency=concurrency, progress=progress)
    names = [p.name for p in players]
    outcomes = {met: pairing.pairs for met, pairing in zip(pairs, pairings, strict=True)}
    anchor = names.index("random") if "random" in names else 0
    return Result(pairings, ratings(names, outcomes, anchor), starts.distinct)


def sequential_match(
    game: Game,
    players: Sequence[AnyPlayer],
    starts: Openings,
    test: Sprt,
    *,
    concurrency: int = 1,
    progress: Progress = lambda count: None,
) -> SequentialResult:
    """A match of two players that stops as soon as a test of the first one is decided.

    Pairs of games count in the order of their openings, whichever ends first: short games may have other results than
    long ones. Later pairs that have ended by then are left out.
    """
    decided: Decision | None = None
    results: list[int] = []

    def enough(ended: Sequence[MatchGame]) -> bool:
        nonlocal decided, results
        while decided is None and len(results) + 2 <= len(ended):
            results = results_of(ended[: len(results) + 2])
            decided = test.decide(counts_of(results))
        return decided is not None

    limit = concurrency if _with_engines(players) else _GAMES_OF_A_TEST
    games = _games([(0, 1)], starts)
    played = play_out(game, players, games, limit=limit, progress=progress, enough=enough)
    pairing = _pairing(players, (0, 1), played[: len(results)])
    rated = ratings([pairing.opponent, pairing.player], {(1, 0): pairing.pairs})
    return SequentialResult(test, pairing, decided, rated, starts.distinct)


def play_pairings(
    game: Game,
    players: Sequence[AnyPlayer],
    pairs: Sequence[tuple[int, int]],
    starts: Openings,
    *,
    concurrency: int = 1,
    progress: Progress = lambda count: None,
) -> list[Pairing]:
    """Each pair of players plays each opening twice, once with each colour.

    A game depends on its opening, the opening's number and the numbers of its two players, not on other games. All
    games are one batch, but for those of engines, of which `concurrency` are played at the same time. progress: called
    after each ply with the number of games that ended.
    """
    with_engines = [pair for pair in pairs if _with_engines([players[p] for p in pair])]
    batched = [pair for pair in pairs if pair not in with_engines]
    found: dict[tuple[int, int], Pairing] = {}
    for group, limit in ((batched, None), (with_engines, concurrency)):
        if not group:
            continue
        played = play_out(game, players, _games(group, starts), limit=limit, progress=progress)
        count = len(played) // len(group)
        for number, pair in enumerate(group):
            found[pair] = _pairing(players, pair, played[number * count : (number + 1) * count])
    return [found[pair] for pair in pairs]


def _with_engines(players: Sequence[AnyPlayer]) -> bool:
    return any(isinstance(player, LinePlayer) for player in players)


def _games(pairs: Sequence[tuple[int, int]], starts: Openings) -> Games:
    """Both games of each opening, for one pair after the other; colours alternate."""
    device = starts.actions.device
    count = 2 * len(starts.actions)
    number = torch.arange(count, device=device)
    sides = torch.cat([torch.tensor([(a, b), (b, a)], device=device).repeat(count // 2, 1) for a, b in pairs])
    ids = torch.cat([(b * (b - 1) // 2 + a) * _IDS_PER_PAIR + number for a, b in map(sorted, pairs)])
    return Games(starts, (number // 2).repeat(len(pairs)), sides, ids)


def _pairing(players: Sequence[AnyPlayer], pair: tuple[int, int], played: Sequence[MatchGame]) -> Pairing:
    results = results_of(played)
    first, second = _tally(results[::2]), _tally(results[1::2])
    return Pairing(players[pair[0]].name, players[pair[1]].name, first, second, results, tuple(played))


def results_of(played: Sequence[MatchGame]) -> list[int]:
    """1, 0 or -1 for the player who moves first in games of even number, and second in the others."""
    rewards = [one.reward[number % 2] for number, one in enumerate(played) if one.reward is not None]
    return [int(reward) for reward in rewards]


def _tally(results: Sequence[int]) -> WinDrawLoss:
    return WinDrawLoss(*(results.count(value) for value in (1, 0, -1)))
