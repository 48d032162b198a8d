"""The protocol of a game: B boards at once on one device, tensor operations only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.games.board import STONES, Board, plain_text


class Symmetries(NamedTuple):
    """Index tables of the board's symmetries; row 0 is the identity.

    planes: int64 [S, C*H*W]; observation s is `observation.flatten(1)[:, planes[s]]`.
    actions: int64 [S, A]; policy s is `policy[:, actions[s]]`.
    """

    planes: Tensor
    actions: Tensor


class ActionLayout(NamedTuple):
    """Where the actions lie on the board, for policy heads that do not depend on its size.

    Actions are numbered plane by plane, in each plane cell by cell in row-major order, then come the others:
    A = planes * H * W + others. A game of movement has a plane per kind of move, and the cell is the one that the piece
    leaves (chess: 73 planes). With `columns` a plane has an action per column: A = planes * W + others.
    others: actions without a place on the board, such as a pass.
    """

    planes: int
    others: int = 0
    columns: bool = False

    def num_actions(self, height: int, width: int) -> int:
        """A on a board of this size."""
        return self.planes * (width if self.columns else height * width) + self.others


class Record(NamedTuple):
    """A position and moves from it, as a text has them.

    start: a state with B = 1. moves: names for `find_move`, not checked. places: of each move, for messages: "12".
    """

    start: Any
    moves: Sequence[str]
    places: Sequence[str]


class Game(Protocol):
    """Rules of a two-player, zero-sum, perfect-information game over batches of boards.

    A game is a class that inherits from this one and so gets what has a default. All methods take and return tensors on
    the device of the state, read no value of a tensor, and treat each board independently of the others.

    **State.** A NamedTuple of tensors with leading dimension B. It holds all that the rules depend on; `observe` need
    not show all of it. Fields may hold what is derived from others (the legal moves, the result), to compute it once.

    **Turns.** Player 0 begins and the players alternate: where a player must or may pass, a pass is an action.
    `step` adds 1 to `plies`, and does not change boards that are over.

    **End.** No game lasts longer than `max_plies`. A game that reaches this limit ends by its own rules (Go counts the
    area) or as a draw (chess); the documentation of the game says which.

    **Slots.** Search trees, records and the replay buffer have K = `num_slots` entries per position, not A. Slot k of a
    position is its k-th legal action in ascending order (`legal_actions`). A game in which most actions can be legal at
    once has `num_slots` = `num_actions`; there slot k is action k, and no table of actions is stored.

    **History.** Rules on repetition and observations with earlier positions look at what happened before. A state field
    named in `history` has shape [B, T, ...] and is a ring of entries: entry p % T belongs to the position after p
    plies. `initial` writes the entry of ply 0, `step` that of its new position; no other entry changes. An entry is the
    same from both players' points of view. A rule that looks h positions back needs T > h. A search tree stores one
    entry per node and rebuilds the ring of a position from the path that leads to it, so that a repetition of a
    position from before the search is found, at the memory of one entry.

    Attributes:
        options: what `agents.games.make` was given or took by default, of any type that YAML has.
        num_actions: A. num_slots: K, the largest number of legal actions of any position, at most A.
        observation_shape: (C, H, W).
        number_planes: the last planes of the observation that each hold one number in all cells, such as a clock or
            komi. The planes before them hold zeros and ones.
        action_names: A different names; for games whose names depend on the position see `move_name`.
        action_layout: None where the actions have no place on the board; such a game has fully connected heads only.
        has_final_board: whether `final_board` says who holds the cells when the game is over.
        player_names: what the players are called; by default the signs of their stones.
    """

    name: str
    options: Mapping[str, Any]
    num_actions: int
    num_slots: int
    observation_shape: tuple[int, int, int]
    max_plies: int
    action_names: Sequence[str]
    number_planes: int = 0
    history: tuple[str, ...] = ()
    action_layout: ActionLayout | None = None
    has_final_board: bool = False
    player_names: tuple[str, str] = STONES

    def initial(self, batch: int, device: torch.device) -> Any:
        """State of B new games, all alike."""
        ...

    def sample_initial(self, seed: int, game_ids: Tensor) -> Any:
        """State of new games whose first positions are a function of the seed and the ids int64 [B].

        Self-play and matches begin here. By default `initial`, for games with one first position.
        """
        return self.initial(len(game_ids), game_ids.device)

    def legal(self, state: Any) -> Tensor:
        """bool [B, A]; all False on boards that are over."""
        ...

    def legal_actions(self, state: Any) -> Tensor:
        """int64 [B, K]: the legal actions of each board in ascending order, then -1.

        By default from `legal`. A game that generates moves without a mask defines this one and gets the mask from
        `mask_of`.
        """
        return actions_of(self.legal(state), self.num_slots)

    def step(self, state: Any, action: Tensor) -> Any:
        """State after action int64 [B]; after an illegal action the board is undefined, but no other board is."""
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

    def observe(self, state: Any, player: Tensor | None = None) -> Tensor:
        """float32 [B, C, H, W] as `player` int64 [B] sees the board, by default the player to move.

        That player's planes come first. The last `number_planes` are constant over the board; all others are bits.
        """
        ...

    def final_board(self, state: Any, player: Tensor) -> Tensor:
        """bool [B, 2, H, W]: cells that `player` int64 [B] and the opponent hold on boards that are over.

        An auxiliary target of training for games with `has_final_board`. The board lies as `player` observes it, and
        symmetries map its cells as those of the observation. By default the observation's first two planes, which are
        both sides' stones in many games.
        """
        return self.observe(state, player)[:, :2] > 0

    def key(self, state: Any) -> Tensor:
        """int64 [B]: a hash of the observation, and of the legal actions where K < A.

        Positions with equal keys share one evaluation: they must have the same observation and the same slots.
        """
        ...

    def symmetries(self, device: torch.device) -> Symmetries:
        """The board's symmetries as index tables; the identity alone where the rules have none."""
        ...

    def board(self, state: Any, index: int = 0, previous: Any = None) -> Board | None:
        """What one board shows a person; None for a game that only has `render`.

        previous: the state one move earlier, to find the last move where the state does not tell.
        """
        return None

    def render(self, state: Any, index: int = 0, previous: Any = None) -> str:
        """One board as text; `X` moves first. By default drawn from `board`, which a game has or else this method."""
        board = self.board(state, index, previous)
        if board is None:
            raise NotImplementedError(f"{self.name} has neither `board` nor `render`")
        return plain_text(board)

    def image(self, state: Any, index: int = 0, previous: Any = None) -> NDArray[np.uint8]:
        """One board as an image, uint8 [height, width, 3]. By default drawn from `board`, else the text of `render`."""
        from agents.games.board_image import board_image, text_image  # Pillow is not needed to play

        board = self.board(state, index, previous)
        return text_image(self.render(state, index, previous)) if board is None else board_image(board)

    def move_name(self, state: Any, action: int, *, index: int = 0) -> str:
        """Name of a legal action of board `index`, such as e2e4."""
        return self.action_names[action]

    def find_move(self, state: Any, text: str, *, index: int = 0) -> int | None:
        """The legal action of board `index` that `text` names, in any notation of the game; None if there is none.

        By default a name of `move_name`, in capitals or not.
        """
        legal = self.legal(state)[index].nonzero()[:, 0].tolist()
        actions = {self.move_name(state, action, index=index): action for action in legal}
        folded = {name.casefold(): action for name, action in actions.items()}
        return actions.get(text, folded.get(text.casefold()))

    def why_illegal(self, state: Any, text: str, *, index: int = 0) -> str | None:
        """Why the move that `text` names cannot be played on a running board, such as "the point is occupied".

        None where the text names no move of the game. Asked only for texts that `find_move` does not find.
        """
        return "not legal here" if text.casefold() in map(str.casefold, self.action_names) else None

    def read_record(self, text: str, device: torch.device) -> Record | None:
        """A text in a notation of the game that is not just names of moves, such as FEN or PGN; None for another text.

        Raises UserError that names the mistake of a text in such a notation.
        """
        return None


@runtime_checkable
class ObservableGame(Protocol):
    """A game whose observation shows all that the rules depend on, so that it can be played on from an observation."""

    def from_observation(self, planes: Tensor) -> Any:
        """The state of an observation, rebuilt from its planes float32 [B, C, H, W]."""
        ...


State = TypeVar("State", bound=tuple[Tensor, ...])


def actions_of(legal: Tensor, slots: int) -> Tensor:
    """int64 [B, K]: the True columns of a mask bool [B, A] in ascending order, then -1; at most `slots` of them."""
    batch, count = legal.shape
    # Illegal actions are written to one more column, which is cut off.
    place = torch.where(legal, legal.cumsum(1) - 1, slots).clamp_(max=slots)
    found = torch.full((batch, slots + 1), -1, dtype=torch.int64, device=legal.device)
    actions = torch.arange(count, device=legal.device)
    return found.scatter_(1, place, actions.expand(batch, -1))[:, :slots].contiguous()


def mask_of(actions: Tensor, count: int) -> Tensor:
    """bool [B, A]: the mask of actions int64 [B, K], with -1 for none."""
    mask = torch.zeros((len(actions), count + 1), dtype=torch.bool, device=actions.device)
    return mask.scatter_(1, torch.where(actions < 0, count, actions), True)[:, :count].contiguous()


def select(state: State, index: Tensor) -> State:
    """Boards `index` (int64 [N]) of a state."""
    return type(state)(*(field.index_select(0, index) for field in state))


def where(mask: Tensor, a: State, b: State) -> State:
    """For each board `a` where mask bool [B] is True, else `b`."""
    return type(a)(*(_where_rows(mask, x, y) for x, y in zip(a, b, strict=True)))


def _where_rows(mask: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """torch.where by rows; rows of bytes are copied as rows of wider integers, several times as fast on a CPU."""
    if x.dim() == 1 or x.numel() == 0:
        return torch.where(mask.view(-1, *[1] * (x.dim() - 1)), x, y)
    row_bytes = x.shape[1:].numel() * x.itemsize
    for wide in (torch.int64, torch.int32, torch.int16):
        fits = x.itemsize < wide.itemsize and row_bytes % wide.itemsize == 0
        if fits and all(t.is_contiguous() and t.storage_offset() * t.itemsize % wide.itemsize == 0 for t in (x, y)):
            chosen = torch.where(mask[:, None], x.flatten(1).view(wide), y.flatten(1).view(wide))
            return chosen.view(x.dtype).view_as(x)
    return torch.where(mask.view(-1, *[1] * (x.dim() - 1)), x, y)


def concatenate(states: Sequence[State]) -> State:
    """One state of all boards, in order."""
    return type(states[0])(*(torch.cat(fields) for fields in zip(*states, strict=True)))
