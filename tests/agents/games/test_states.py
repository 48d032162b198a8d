"""Operations on states of any game: fields of every type, width and place in memory."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from agents.games.game import where


class Fields(NamedTuple):
    rows: Tensor
    number: Tensor


@pytest.mark.parametrize("batch", [0, 1, 5])
@pytest.mark.parametrize("shape", [(0,), (1,), (2,), (6, 7), (8, 8), (3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.int16, torch.float32, torch.int64])
def test_where_takes_whole_boards_of_either_state(dtype: torch.dtype, shape: tuple[int, ...], batch: int) -> None:
    def state(seed: int) -> Fields:
        values = torch.randint(-9, 9, (batch, *shape), generator=torch.Generator().manual_seed(seed))
        return Fields(values.to(dtype), torch.arange(batch) + seed)

    mask = torch.arange(batch) % 2 == 0
    a, b = state(1), state(2)
    # Views that begin inside of a row's bytes, or whose rows are not adjacent, are taken as well.
    shifted = torch.empty(a.rows.numel() + 1, dtype=dtype)[1:].view_as(a.rows).copy_(a.rows)
    spread = torch.stack([b.rows, b.rows], -1)[..., 0]
    expected = (
        torch.stack([(a if chosen else b).rows[i] for i, chosen in enumerate(mask.tolist())]) if batch else a.rows
    )
    for rows, others in ((a.rows, b.rows), (shifted, b.rows), (a.rows, spread)):
        chosen = where(mask, a._replace(rows=rows), b._replace(rows=others))
        assert torch.equal(chosen.rows, expected) and chosen.rows.dtype == dtype
        assert chosen.number.tolist() == [i + 1 if i % 2 == 0 else i + 2 for i in range(batch)]
