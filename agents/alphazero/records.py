"""Records of self-play: training samples and finished games."""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.codec import code_size
from agents.games.game import Game
from agents.search.root import spread


class RecordFormat(NamedTuple):
    """What is recorded of a position, beside its observation and results.

    entries: largest number of actions of a policy, the most likely ones; None for all K slots.
    states: whether the code of its state is recorded. cheap: whether it is recorded which searches were cheap.
    replies, horizons, final_board: what auxiliary targets need (`agents.alphazero.auxiliary_config`): whether the next
    position's policy is recorded, the horizons of values in plies, and whether the final board is.
    """

    entries: int | None = None
    states: bool = False
    cheap: bool = False
    replies: bool = False
    horizons: tuple[float, ...] = ()
    final_board: bool = False

    def width(self, game: Game) -> int:
        """Actions of a recorded policy, R."""
        return game.num_slots if self.entries is None else min(self.entries, game.num_slots)


WHOLE_POLICY = RecordFormat()


class Samples(NamedTuple):
    """N positions of finished games, in order of play within a game; R actions of each policy (see `RecordFormat`).

    planes: uint8 [N, ceil(bits / 8)], the observation's planes of bits, most significant first.
    numbers: float32 [N, P], the numbers of its other planes.
    policy: float16 [N, R], the improved policy.
    actions: int16 [N, R], its actions in ascending order, -1 for none; [N, 0] where they are all A actions.
    state: uint8 [N, E], the code of the state (`agents.games.codec`); [N, 0] where states are not recorded.
    outcome: int8 [N], +1, 0 or -1 for the player to move.
    search_value: float16 [N], the root's value after search. version: int32 [N], of the weights that searched.
    cheap: uint8 [N, 1], 1 where the policy is that of a cheap search and is not trained on (`playout_cap`); [N, 0]
    where every search is full.
    With `SelfPlayConfig.surprise_weighting` a position is missing or has several rows.

    Auxiliary targets, [N, 0] where they are not recorded:
    reply: float16 [N, R], the policy of the game's next position, zeros in the last one. reply_actions: as `actions`.
    horizon_values: float16 [N, T], short-horizon values (`agents.alphazero.auxiliary_targets`).
    final_board: uint8 [N, ceil(2 * H * W / 8)], cells of the mover and of the opponent when the game is over.
    """

    planes: Tensor
    numbers: Tensor
    policy: Tensor
    actions: Tensor
    state: Tensor
    outcome: Tensor
    search_value: Tensor
    version: Tensor
    cheap: Tensor
    reply: Tensor
    reply_actions: Tensor
    horizon_values: Tensor
    final_board: Tensor

    def __len__(self) -> int:  # len of a NamedTuple is its number of fields
        return int(self.planes.shape[0])


LATER_FIELDS = ("cheap", "reply", "reply_actions", "horizon_values", "final_board")
"""Fields that segments of earlier versions lack; they have no bytes where their settings are off."""


class PlayedMoves(NamedTuple):
    """M moves of recorded games (see `SelfPlayConfig.recorded_boards`), in order of play within a game; K slots.

    game_id: int64 [M]. ply: int16 [M], of the position before the move. action: int16 [M], the move that was played.
    visits: int32 [M, K], visit counts of the search. actions: int16 [M, K], the action of each slot, -1 for none.
    value: float32 [M], the root's value after search. version: int32 [M], of the weights that searched.
    """

    game_id: Tensor
    ply: Tensor
    action: Tensor
    visits: Tensor
    actions: Tensor
    value: Tensor
    version: Tensor

    def __len__(self) -> int:
        return int(self.game_id.shape[0])


class FinishedGames(NamedTuple):
    """G finished games, their positions, and the moves of those that are recorded.

    game_id, plies, first_reward: int64, int64 and int8 [G]; the reward is the first player's. resigned: bool [G].
    wrong_resignation: int8 [G], 1 if the side that would have resigned an audited game did not lose, 0 if it did;
    -1 for other games.
    """

    positions: Samples
    moves: PlayedMoves
    game_id: Tensor
    plies: Tensor
    first_reward: Tensor
    resigned: Tensor
    wrong_resignation: Tensor


def blank(count: int, game: Game, form: RecordFormat = WHOLE_POLICY, *, device: torch.device | None = None) -> Samples:
    """Samples of `count` positions, all zeros."""
    width = form.width(game)

    def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(count, *shape, dtype=dtype, device=device)

    return Samples(
        planes=zeros(packed_size(_bits(game)), dtype=torch.uint8),
        numbers=zeros(game.number_planes, dtype=torch.float32),
        policy=zeros(width, dtype=torch.float16),
        actions=zeros(width if width < game.num_actions else 0, dtype=torch.int16),
        state=zeros(code_size(game) if form.states else 0, dtype=torch.uint8),
        outcome=zeros(dtype=torch.int8),
        search_value=zeros(dtype=torch.float16),
        version=zeros(dtype=torch.int32),
        cheap=zeros(int(form.cheap), dtype=torch.uint8),
        reply=zeros(width if form.replies else 0, dtype=torch.float16),
        reply_actions=zeros(width if form.replies and width < game.num_actions else 0, dtype=torch.int16),
        horizon_values=zeros(len(form.horizons), dtype=torch.float16),
        final_board=zeros(packed_size(_board_bits(game)) if form.final_board else 0, dtype=torch.uint8),
    )


def row_bytes(game: Game, form: RecordFormat = WHOLE_POLICY) -> int:
    """Bytes of one position."""
    return sum(field.nbytes for field in blank(1, game, form))


def likeliest(policy: Tensor, actions: Tensor, entries: int) -> tuple[Tensor, Tensor]:
    """The `entries` largest probabilities of policies [N, K], scaled to the sum 1, and their actions of int64 [N, K].

    Both are [N, entries] in the order of the slots. Of equal probabilities the first are taken.
    """
    chosen = policy.sort(dim=1, descending=True, stable=True).indices[:, :entries].sort(1).values
    kept = policy.gather(1, chosen)
    return kept / kept.sum(1, keepdim=True), actions.gather(1, chosen)


def dense_policy(samples: Samples, num_actions: int) -> Tensor:
    """float32 [N, A]: the policies over all actions."""
    return _dense(samples.policy, samples.actions, num_actions)


def reply_policy(samples: Samples, num_actions: int) -> Tensor:
    """float32 [N, A]: the policies of the next positions over all actions; zeros where there is none."""
    return _dense(samples.reply, samples.reply_actions, num_actions)


def final_board_cells(game: Game, samples: Samples) -> Tensor:
    """float32 [N, 2 * H * W]: the cells of the mover, then those of the opponent, when the game is over."""
    return unpack_bits(samples.final_board, _board_bits(game))


def _dense(policy: Tensor, actions: Tensor, num_actions: int) -> Tensor:
    policy = policy.to(torch.float32)
    return spread(policy, actions.to(torch.int64), num_actions) if actions.shape[1] else policy


def pack_observation(game: Game, observation: Tensor) -> tuple[Tensor, Tensor]:
    """Observations [N, C, H, W] as `planes` and `numbers` of `Samples`."""
    bits = observation.shape[1] - game.number_planes
    return pack_bits(observation[:, :bits].flatten(1)), observation[:, bits:, 0, 0]


def unpack_observation(game: Game, samples: Samples) -> Tensor:
    """float32 [N, C*H*W]: the observations of samples."""
    planes = unpack_bits(samples.planes, _bits(game))
    if not game.number_planes:
        return planes
    _, height, width = game.observation_shape
    return torch.cat([planes, samples.numbers.repeat_interleave(height * width, 1)], 1)


def _bits(game: Game) -> int:
    planes, height, width = game.observation_shape
    return (planes - game.number_planes) * height * width


def _board_bits(game: Game) -> int:
    _, height, width = game.observation_shape
    return 2 * height * width


def concatenate(batches: list[FinishedGames]) -> FinishedGames:
    """All games of several batches, in order."""
    positions = Samples(*(torch.cat(field) for field in zip(*(b.positions for b in batches), strict=True)))
    moves = PlayedMoves(*(torch.cat(field) for field in zip(*(b.moves for b in batches), strict=True)))
    return FinishedGames(positions, moves, *(torch.cat(f) for f in list(zip(*batches, strict=True))[2:]))


def flattened(games: FinishedGames) -> list[Tensor]:
    """All tensors of games, which `unflattened` takes."""
    return [*games.positions, *games.moves, *games[2:]]


def unflattened(tensors: list[Tensor]) -> FinishedGames:
    """The games of `flattened`."""
    first = len(Samples._fields)
    end = first + len(PlayedMoves._fields)
    return FinishedGames(Samples(*tensors[:first]), PlayedMoves(*tensors[first:end]), *tensors[end:])


def packed_size(bits: int) -> int:
    """Bytes that hold a number of bits."""
    return (bits + 7) // 8


def pack_bits(planes: Tensor) -> Tensor:
    """Zeros and ones [N, D] -> uint8 [N, ceil(D / 8)], most significant bit first (as numpy.packbits)."""
    padded = torch.nn.functional.pad(planes.to(torch.uint8), (0, -planes.shape[1] % 8))
    return (padded.view(len(planes), -1, 8) << _shifts(planes.device)).sum(-1, dtype=torch.uint8)


def unpack_bits(packed: Tensor, size: int) -> Tensor:
    """uint8 [N, ceil(size / 8)] -> float32 [N, size] of zeros and ones."""
    bits = (packed[:, :, None] >> _shifts(packed.device)) & 1
    return bits.flatten(1)[:, :size].to(torch.float32)


def _shifts(device: torch.device) -> Tensor:
    return torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
