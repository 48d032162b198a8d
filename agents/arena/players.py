"""Players choose moves for a batch of boards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from agents.arena.line import Line
from agents.games.game import Game
from agents.search.cache import Evaluate
from agents.search.dynamics import legal_slots, slot_actions
from agents.search.root import SearchResult
from lab import rng


class Player(Protocol):
    """Chooses moves. A move depends on its board, game id and ply, not on the rest of the batch."""

    @property
    def name(self) -> str:
        """The name in tables and ratings."""
        ...

    def choose(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        """Legal actions int64 `[B]`; game_ids and plies: int64 `[B]`, keys of the random numbers."""
        ...


@runtime_checkable
class EvaluatingPlayer(Player, Protocol):
    """A player that says what it expects of its moves, for the records of games."""

    def choose_and_evaluate(self, state: Any, game_ids: Tensor, plies: Tensor) -> tuple[Tensor, Tensor]:
        """What `choose` returns, and the expected outcomes for the player to move, float32 `[B]` in [-1, 1]."""
        ...


class Forfeit(NamedTuple):
    """A player gives up a game, which it loses. fault: whether it broke down or played no legal move."""

    reason: str
    fault: bool


@runtime_checkable
class LinePlayer(Protocol):
    """A player of games whose moves it must know, not just the boards: an engine with a memory of its own."""

    @property
    def name(self) -> str:
        """The name in tables and ratings."""
        ...

    def choose_moves(self, lines: Sequence[Line], game_ids: Sequence[int]) -> list[int | Forfeit]:
        """A legal action for each running game."""
        ...

    def finish(self, game_id: int) -> None:
        """A game is over, by a move or a forfeit of either player, or is not played on."""
        ...


AnyPlayer = Player | LinePlayer


class AgentLike(Protocol):
    """The interface that players, evaluation and the terminal need; `agents.alphazero.agent.Agent` implements it."""

    @property
    def name(self) -> str: ...

    @property
    def game(self) -> Game: ...

    @property
    def evaluate(self) -> Evaluate: ...

    @property
    def device(self) -> torch.device:
        """Device of the network; `decide` and `evaluate` take boards on it."""
        ...

    def decide(self, state: Any, simulations: int) -> SearchResult:
        """Decisions without noise for B boards. With 0 simulations those of the network alone; `q` is then NaN."""
        ...


@dataclass(frozen=True)
class RandomPlayer:
    """Uniformly random legal moves."""

    game: Game
    seed: int = 0
    name: str = "random"

    def choose(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        return random_moves(self.game, state, self.seed, rng.Stream.RANDOM_PLAYER, game_ids, plies)


@dataclass(frozen=True)
class AgentPlayer:
    """A trained agent with a number of simulations per move; 0 is the network alone. It is deterministic."""

    agent: AgentLike
    simulations: int

    @property
    def name(self) -> str:
        return f"{self.agent.name}@{self.simulations}"

    def choose(self, state: Any, game_ids: Tensor, plies: Tensor) -> Tensor:
        return self.choose_and_evaluate(state, game_ids, plies)[0]

    def choose_and_evaluate(self, state: Any, game_ids: Tensor, plies: Tensor) -> tuple[Tensor, Tensor]:
        decision = self.agent.decide(to_device(state, self.agent.device), self.simulations)
        return decision.action.to(game_ids.device), decision.value


def to_device(state: Any, device: torch.device) -> Any:
    """A state (or any NamedTuple of tensors) on `device`."""
    return type(state)(*(field.to(device) for field in state))


def random_moves(game: Game, state: Any, seed: int, *counters: Tensor | int) -> Tensor:
    """One uniformly random legal action per board, int64 `[B]`; counters as in `random_actions`."""
    actions = slot_actions(game, state)
    slot = random_actions(legal_slots(game, state, actions), seed, *counters)
    return slot if actions is None else actions.gather(1, slot[:, None])[:, 0].clamp_min(0)


def random_actions(legal: Tensor, seed: int, *counters: Tensor | int) -> Tensor:
    """One uniformly random legal action per row, int64 `[B]`.

    legal: bool [B, A]; counters: integers or int64 `[B]`, keys of the random numbers. Rows without
    a legal action get 0.
    """
    count = legal.cumsum(1)
    chosen = rng.integers(count[:, -1].clamp_min(1), seed, *counters, device=legal.device)
    return (count > chosen[:, None]).to(torch.int8).argmax(1)
