"""External engines as players of a match: one that breaks down loses the game, and the match goes on."""

from collections.abc import Callable, Sequence
from types import TracebackType

import torch

from agents.arena.line import Line
from agents.arena.players import Forfeit
from agents.engines.client import EngineClient
from agents.engines.process import EngineFailure
from lab import rng
from lab.config.suggestions import shortened
from lab.errors import UserError

_STARTS = 3  # attempts in succession; an engine that never starts is not waited for in every game
_RESIGNS = "resign"


class EnginePlayer:
    """An engine with a process for every game that it plays at the same time (see `LinePlayer`).

    A process plays many games, one after the other. It is ended where it breaks its protocol, plays an illegal move or
    does not answer in time; the next game gets a new one.
    """

    def __init__(self, name: str, start: Callable[[], EngineClient], seed: int = 0) -> None:
        """start: a new engine process; it raises UserError for settings that the engine does not take, and
        EngineFailure.

        The first process is started here, to find mistakes of the user early: raises UserError.
        """
        self._name, self._start, self._seed = name, start, seed
        self._playing: dict[int, EngineClient] = {}  # by game id
        self._idle: list[EngineClient] = []
        self._failed_starts = 0
        try:
            self._idle.append(start())
        except EngineFailure as failure:
            hint = "check its command, and that it speaks GTP (gtp:) or UCI (uci:)"
            raise UserError(f"{name}: {failure}; {hint}") from None
        except UserError as error:
            raise UserError(f"{name}: {error}") from None

    @property
    def name(self) -> str:
        return self._name

    def choose_moves(self, lines: Sequence[Line], game_ids: Sequence[int]) -> list[int | Forfeit]:
        # All engines are asked before the first answer is read, so that they think at the same time.
        asked = [self._ask(line, game_id) for line, game_id in zip(lines, game_ids, strict=True)]
        return [
            forfeit or self._answer(line, game_id)
            for line, game_id, forfeit in zip(lines, game_ids, asked, strict=True)
        ]

    def finish(self, game_id: int) -> None:
        client = self._playing.pop(game_id, None)
        if client is not None:
            self._idle.append(client)

    def close(self) -> None:
        """End all processes, those that are thinking at once."""
        while self._playing:
            self._playing.popitem()[1].kill()
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> "EnginePlayer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, line: Line, game_id: int) -> Forfeit | None:
        try:
            if game_id not in self._playing:
                self._playing[game_id] = self._ready()
                self._playing[game_id].new_game(self._seed_of(game_id))
            self._playing[game_id].ask(line)
        except EngineFailure as failure:
            return self._broken(game_id, str(failure))
        return None

    def _answer(self, line: Line, game_id: int) -> int | Forfeit:
        client = self._playing[game_id]
        try:
            text = client.answer()
        except EngineFailure as failure:
            return self._broken(game_id, str(failure))
        if text == _RESIGNS:
            return Forfeit("it resigns", fault=False)
        action = client.find(line, text)
        if action is None:
            why = client.why_illegal(line, text)
            named = f"it plays {shortened(text, 40)[1:-1]}, which is illegal" if text else "it plays no move"
            return self._broken(game_id, named + (f": {why}" if why else ""))
        return action

    def _ready(self) -> EngineClient:
        if self._idle:
            return self._idle.pop()
        if self._failed_starts >= _STARTS:
            raise EngineFailure(f"it could not be started {_STARTS} times in succession")
        try:
            client = self._start()
        except (EngineFailure, UserError) as failure:
            self._failed_starts += 1
            raise EngineFailure(f"it cannot be started again: {failure}") from None
        self._failed_starts = 0
        return client

    def _broken(self, game_id: int, reason: str) -> Forfeit:
        """End the process of a game that is lost."""
        client = self._playing.pop(game_id, None)
        if client is not None:
            client.kill()
        return Forfeit(reason, fault=True)

    def _seed_of(self, game_id: int) -> int:
        """For engines that take a seed: a game is then a function of it, whichever process plays it."""
        bits = rng.random_bits(self._seed, int(rng.Stream.RANDOM_PLAYER), torch.tensor([game_id]))
        return int(bits[0]) % 2**31
