"""The protocol of a game: B boards at once on one device, tensor operations only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor


class Symmetries(NamedTuple):
    """Index tables of the board's symmetries; row 0 is the identity.

    planes: int64 [S, C*H*W]; observation s is `observation.flatten(1)[:, planes[s]]`.
    actions: int64 [S, A]; policy s is `policy[:, actions[s]]`.
    """

    planes: Tensor
    actions: Tensor


class Game(Protocol):
    """Rules of a two-player, zero-sum, perfect-information game over batches of boards.

    A state is a NamedTuple of tensors with leading dimension B. `step` does not change boards that are over.
    """

    name: str
    options: Mapping[str, Any]
    num_actions: int
    observation_shape: tuple[int, int, int]
    max_plies: int
    action_names: Sequence[str]

    def initial(self, batch: int, device: torch.device) -> Any:
        """State of B empty boards."""
        ...

    def legal(self, state: Any) -> Tensor:
        """bool [B, A]; all False on boards that are over."""
        ...

    def step(self, state: Any, action: Tensor) -> Any:
        """State after action int64 [B]; after an illegal action the board is undefined."""
        ...

    def player(self, state: Any) -> Tensor:
        """int64 [B]: the player to move, 0 or 1."""
        ...

    def plies(self, state: Any) -> Tensor:
        """int64 [B]: moves played so far."""
        ...

    def done(self, state: Any) -> Tensor:
        """bool [B]."""
        ...

    def reward(self, state: Any) -> Tensor:
        """float32 [B, 2]: +1, 0 or -1 for each player, zeros until the board is over."""
        ...

    def observe(self, state: Any) -> Tensor:
        """float32 [B, C, H, W] of zeros and ones, from the mover's point of view (the mover's planes first)."""
        ...

    def from_observation(self, planes: Tensor) -> Any:
        """The state of an observation, rebuilt from its planes float32 [B, C, H, W]."""
        ...

    def key(self, state: Any) -> Tensor:
        """int64 [B]: a hash of the observation."""
        ...

    def symmetries(self, device: torch.device) -> Symmetries:
        """The board's symmetries as index tables."""
        ...

    def render(self, state: Any, index: int) -> str:
        """One board as text; `X` moves first."""
        ...


State = TypeVar("State", bound=tuple[Tensor, ...])


def select(state: State, index: Tensor) -> State:
    """Boards `index` (int64 [N]) of a state."""
    return type(state)(*(field.index_select(0, index) for field in state))


def where(mask: Tensor, a: State, b: State) -> State:
    """For each board `a` where mask bool [B] is True, else `b`."""
    return type(a)(*(torch.where(mask.view(-1, *[1] * (x.dim() - 1)), x, y) for x, y in zip(a, b, strict=True)))


def concatenate(states: Sequence[State]) -> State:
    """One state of all boards, in order."""
    return type(states[0])(*(torch.cat(fields) for fields in zip(*states, strict=True)))
