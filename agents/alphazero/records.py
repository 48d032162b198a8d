"""Records of self-play: training samples and finished games."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from agents.games.game import Game


class Samples(NamedTuple):
    """N positions of finished games, in order of play within a game.

    planes: uint8 [N, ceil(C*H*W / 8)], the observation's bits, most significant first.
    policy: float16 [N, A], the improved policy. outcome: int8 [N], +1, 0 or -1 for the player to move.
    search_value: float16 [N], the root's value after search. version: int32 [N], of the weights that searched.
    """

    planes: Tensor
    policy: Tensor
    outcome: Tensor
    search_value: Tensor
    version: Tensor

    def __len__(self) -> int:  # len of a NamedTuple is its number of fields
        return int(self.planes.shape[0])


class FinishedGames(NamedTuple):
    """G finished games and their positions.

    game_id, plies, first_reward: int64, int64 and int8 [G]; the reward is the first player's. resigned: bool [G].
    wrong_resignation: int8 [G], 1 if the side that would have resigned an audited game did not lose, 0 if it did;
    -1 for other games.
    """

    positions: Samples
    game_id: Tensor
    plies: Tensor
    first_reward: Tensor
    resigned: Tensor
    wrong_resignation: Tensor


def blank(count: int, game: Game) -> Samples:
    """Samples of `count` positions, all zeros."""
    return Samples(
        planes=torch.zeros(count, packed_size(math.prod(game.observation_shape)), dtype=torch.uint8),
        policy=torch.zeros(count, game.num_actions, dtype=torch.float16),
        outcome=torch.zeros(count, dtype=torch.int8),
        search_value=torch.zeros(count, dtype=torch.float16),
        version=torch.zeros(count, dtype=torch.int32),
    )


def concatenate(batches: list[FinishedGames]) -> FinishedGames:
    """All games of several batches, in order."""
    positions = Samples(*(torch.cat(field) for field in zip(*(b.positions for b in batches), strict=True)))
    return FinishedGames(positions, *(torch.cat(f) for f in list(zip(*batches, strict=True))[1:]))


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
