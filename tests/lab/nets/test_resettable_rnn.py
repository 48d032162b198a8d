"""A recurrent layer whose state is cleared at given steps: that of torch, piece by piece."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lab.nets.resettable_rnn import run_packed, run_unrolled
from lab.nets.rnn import RNN, State

BATCH, STEPS, FEATURES, HIDDEN = 3, 7, 4, 5


def piece_by_piece(rnn: RNN, x: Tensor, starts: Tensor, state: State) -> Tensor:
    """Step by step through torch's own layer."""
    outputs = []
    for t in range(STEPS):
        state = tuple(part * (~starts[:, t])[None, :, None] for part in state)
        step, state = rnn(x[:, t : t + 1], state=state)
        outputs.append(step)
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("run", [run_unrolled, run_packed])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_outputs_and_gradients_are_those_of_torch(cell: str, run: Callable[..., Tensor], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    rnn = RNN(FEATURES, HIDDEN, cell=cell).to(dtype)
    for parameter in rnn.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(BATCH, STEPS, FEATURES, dtype=dtype, requires_grad=True)
    state = tuple(
        torch.randn(1, BATCH, HIDDEN, dtype=dtype, requires_grad=True) for _ in range(2 if cell == "lstm" else 1)
    )
    starts = torch.rand(BATCH, STEPS) < 0.3
    starts[0, 0], starts[1, 0] = True, False
    weight = torch.randn(BATCH, STEPS, HIDDEN, dtype=dtype)
    inputs = [x, *state, *rnn.parameters()]
    found, expected = run(rnn, x, starts, state), piece_by_piece(rnn, x, starts, state)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    torch.testing.assert_close(ours, torch.autograd.grad((expected * weight).sum(), inputs))
