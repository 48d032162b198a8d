"""Players of `lab arena` that are not runs: fixed opponents and engines of other programs."""

from contextlib import ExitStack

from agents.arena.minimax_player import MinimaxPlayer
from agents.arena.players import AnyPlayer, RandomPlayer
from agents.arena.rollout import RolloutPlayer
from agents.cli.referee import policy
from agents.engines.specs import PROGRAMS, is_engine, parse_engine
from agents.games import Game
from lab.errors import UserError

_MAX_ROLLOUTS = 100_000
FIXED = "random, minimax, rollout:N with N up to " + str(_MAX_ROLLOUTS)


def opponents(text: str, game: Game, seed: int) -> list[AnyPlayer]:
    """The fixed opponents that `text` lists, separated by commas; "none" is none. Raises UserError."""
    words = [word.strip() for word in text.split(",")]
    players = [(word, fixed_opponent(word, game, seed)) for word in words if word not in ("", "none")]
    for word, player in players:
        if player is None:
            raise UserError(f"unknown opponent {word!r}; use {FIXED}, or none; engines are given like runs")
    return [player for _, player in players if player is not None]


def fixed_opponent(word: str, game: Game, seed: int) -> AnyPlayer | None:
    """The opponent of a word: random, minimax, rollout:N or policy:NAME; None for another word. Raises UserError."""
    kind, _, count = word.partition(":")
    if word == "random":
        return RandomPlayer(game, seed)
    if word == "minimax":
        return MinimaxPlayer(game, seed)
    if kind == "rollout" and count.isdecimal() and len(count) < 7 and 1 <= int(count) <= _MAX_ROLLOUTS:
        return RolloutPlayer(game, int(count), seed=seed)
    if kind == "policy":
        return policy(count, game)
    return None


def is_other(word: str) -> bool:
    """Whether a word names a player that is not a run."""
    return word in ("random", "minimax") or word.startswith(("rollout:", "policy:")) or is_engine(word)


def other_player(word: str, game: Game, seed: int, stack: ExitStack) -> AnyPlayer:
    """The player of a word that `is_other` knows; a process that it starts ends with `stack`. Raises UserError."""
    if is_engine(word):
        return stack.enter_context(parse_engine(word, game).player(game, seed))
    player = fixed_opponent(word, game, seed)
    if player is None:
        raise UserError(f"unknown opponent {word!r}; use {FIXED}, {', '.join(PROGRAMS)}, gtp:COMMAND or uci:COMMAND")
    return player
