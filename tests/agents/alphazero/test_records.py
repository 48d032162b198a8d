"""Records pack bits as numpy does, and batches of games join without mixing."""

import numpy as np
import pytest
import torch

from agents.alphazero.records import concatenate, pack_bits, packed_size, unpack_bits
from agents.games import make
from tests.agents.small_alphazero import play_games, selfplay
from tests.same_run import assert_same_bits


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 18, 63, 84, 361])
def test_bits_are_packed_as_numpy_packs_them_and_unpack_to_what_they_were(rows: int, size: int) -> None:
    bits = np.random.default_rng(size).integers(0, 2, (rows, size)).astype(np.float32)
    packed = pack_bits(torch.from_numpy(bits))
    assert packed.dtype == torch.uint8 and packed.shape == (rows, packed_size(size))
    assert np.array_equal(packed.numpy(), np.packbits(bits.astype(np.uint8), axis=1))
    unpacked = unpack_bits(packed, size)
    assert unpacked.dtype == torch.float32 and np.array_equal(unpacked.numpy(), bits)


def test_concatenated_batches_hold_every_game_and_position_in_order() -> None:
    batches = play_games(selfplay(make("tic_tac_toe"), boards=5), moves=12)
    assert len(batches) > 2
    joined = concatenate(batches)
    for name in ("game_id", "plies", "first_reward", "resigned", "wrong_resignation"):
        assert torch.equal(getattr(joined, name), torch.cat([getattr(b, name) for b in batches]))
    for name in joined.positions._fields:
        parts = torch.cat([getattr(b.positions, name) for b in batches])
        assert_same_bits(getattr(joined.positions, name), parts)
    assert len(joined.positions) == sum(len(b.positions) for b in batches) == int(joined.plies.sum())
