"""Sweeps along the rows and columns of a map."""

import pytest
import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.nets.renet import ReNet, Sweeps
from lab.nets.rnn import RNN


def cell_by_cell(rnn: RNN, line: Tensor) -> Tensor:
    """One line [T, C] -> [T, 2 * hidden], a cell of each direction called step by step."""
    directions = []
    for suffix, steps in (("", range(len(line))), ("_reverse", reversed(range(len(line))))):
        cell = nn.GRUCell(rnn.core.input_size, rnn.hidden)
        for name, parameter in cell.named_parameters():
            parameter.data = rnn.core.get_parameter(f"{name}_l0{suffix}").data
        state, outputs = torch.zeros(1, rnn.hidden), {}
        for step in steps:
            state = cell(line[step : step + 1], state)
            outputs[step] = state[0]
        directions.append(torch.stack([outputs[step] for step in range(len(line))]))
    return torch.cat(directions, 1)


@torch.no_grad()
def test_rows_are_swept_and_then_columns() -> None:
    torch.manual_seed(0)
    sweeps, x = Sweeps(3, 4), torch.randn(2, 3, 5, 6)
    result = sweeps(x)
    assert result.shape == (2, 8, 5, 6)
    for index in range(2):
        rows = torch.stack([cell_by_cell(sweeps.rows, x[index, :, row].T) for row in range(5)])  # [H, W, 2 * hidden]
        for column in range(6):
            expected = cell_by_cell(sweeps.columns, rows[:, column])
            torch.testing.assert_close(result[index, :, :, column].T, expected)


def test_one_pair_of_sweeps_tells_every_cell_of_all_cells() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 4, 3, requires_grad=True)
    result = ReNet(2, 6, 1)(x)
    for row in range(4):
        for column in range(3):
            (slope,) = torch.autograd.grad(result[0, :, row, column].sum(), x, retain_graph=True)
            assert (slope.abs().sum(1) > 0).all()


def test_memory_layout_does_not_matter() -> None:
    torch.manual_seed(0)
    net, x = ReNet(3, 8, 2, cell="lstm"), torch.randn(4, 3, 6, 7)
    torch.testing.assert_close(net(x.contiguous(memory_format=torch.channels_last)), net(x))


def test_an_odd_number_of_channels_is_refused() -> None:
    with pytest.raises(UserError, match="half of its 7 channels"):
        ReNet(2, 7, 1)
