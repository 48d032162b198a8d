"""Recurrent networks: the core, many-to-one and many-to-many."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from lab.errors import UserError
from lab.nets.rnn import RNN, ManyToMany, ManyToOne, length_mask, with_masked_padding

CELLS = [("lstm", 4, 2), ("gru", 3, 1)]
LENGTHS = torch.tensor([5, 2, 1])

# Export notes that the LSTM keeps its weights in a list as well.
QUIET = pytest.mark.filterwarnings("ignore:The tensor attributes")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("cell", "gates", "parts"), CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameter_count_and_shapes(cell: str, gates: int, parts: int, bidirectional: bool) -> None:
    directions = 2 if bidirectional else 1
    rnn = RNN(3, 6, cell=cell, layers=2, bidirectional=bidirectional)
    first = gates * (6 * 3 + 6 * 6 + 2 * 6)
    second = gates * (6 * 6 * directions + 6 * 6 + 2 * 6)
    assert parameters(rnn) == directions * (first + second)
    outputs, state = rnn(torch.randn(4, 5, 3))
    assert outputs.shape == (4, 5, 6 * directions)
    assert [part.shape for part in state] == [(2 * directions, 4, 6)] * parts


@pytest.mark.parametrize(("cell", "gates", "parts"), CELLS)
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell: str, gates: int, parts: int) -> None:
    weight = RNN(3, 6, cell=cell).core.get_parameter("weight_hh_l0")
    for gate in weight.chunk(gates):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)


def test_forget_gate_starts_open() -> None:
    core = RNN(3, 6, cell="lstm").core
    bias = core.get_parameter("bias_ih_l0") + core.get_parameter("bias_hh_l0")
    assert torch.equal(bias, torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(6))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(cell: str, bidirectional: bool) -> None:
    rnn, x = RNN(3, 6, cell=cell, layers=2, bidirectional=bidirectional), torch.randn(3, 5, 3)
    outputs, state = rnn(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, alone_state = rnn(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0])
        assert outputs[row, length:].abs().sum() == 0
        for part, alone_part in zip(state, alone_state, strict=True):
            torch.testing.assert_close(part[:, row], alone_part[:, 0])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_carried_state_continues_the_sequence(cell: str) -> None:
    network, x = ManyToMany(3, 6, 2, cell=cell), torch.randn(4, 5, 3)
    whole, _ = network(x)
    head, state = network(x[:, :3])
    tail, _ = network(x[:, 3:], state=state)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_many_to_one_ignores_padding(bidirectional: bool) -> None:
    network, x = ManyToOne(3, 6, 2, bidirectional=bidirectional), torch.randn(3, 5, 3)
    answers = network(x, LENGTHS)
    x[1, 2:] = 100.0
    torch.testing.assert_close(network(x, LENGTHS), answers)
    torch.testing.assert_close(network(x[1:2, :2]), answers[1:2])


def test_many_to_many_is_zero_beyond_the_lengths() -> None:
    network = ManyToMany(3, 6, 2)
    nn.init.ones_(network.out.bias)
    answers, _ = network(torch.randn(3, 5, 3), LENGTHS)
    assert torch.equal((answers != 0).any(-1), length_mask(LENGTHS, 5))


def test_many_to_one_learns_to_recall_the_first_step() -> None:
    torch.manual_seed(0)
    x = torch.randn(32, 8, 2)
    target = (x[:, 0, 0] > 0).long()
    network = ManyToOne(2, 16, 2, cell="gru")
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(120):
        loss = functional.cross_entropy(network(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_many_to_many_learns_running_parity() -> None:
    torch.manual_seed(0)
    bits = torch.randint(2, (32, 6))
    target = bits.cumsum(1) % 2
    network = ManyToMany(1, 16, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(200):
        answers, _ = network(bits[:, :, None].float())
        loss = functional.cross_entropy(answers.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


@QUIET
@pytest.mark.parametrize("network", [ManyToOne(3, 6, 2), ManyToOne(3, 6, 2, cell="gru", bidirectional=True)])
def test_exported_many_to_one_computes_the_same(network: nn.Module) -> None:
    network, x = network.eval(), torch.randn(4, 5, 3)
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x))


@QUIET
def test_exported_many_to_many_computes_the_same() -> None:
    network, x = ManyToMany(3, 6, 2, layers=2).eval(), torch.randn(4, 5, 3)
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x)[0], network(x)[0])


def test_unknown_cell_names_the_choices() -> None:
    with pytest.raises(UserError, match="lstm or gru"):
        RNN(2, 2, cell="elman")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_masking_equals_packing_in_outputs_state_and_gradients(cell: str, bidirectional: bool) -> None:
    packing = RNN(3, 6, cell=cell, layers=2, bidirectional=bidirectional)
    masking = with_masked_padding(packing)
    x = torch.randn(3, 6, 3)  # one step that no sequence has
    for one, other in zip(packing(x, LENGTHS)[1], masking(x, LENGTHS)[1], strict=True):
        torch.testing.assert_close(one, other)
    outputs, other_outputs = packing(x, LENGTHS)[0], masking(x, LENGTHS)[0]
    torch.testing.assert_close(outputs, other_outputs)
    (outputs**2).sum().backward()
    (other_outputs**2).sum().backward()
    for one, other in zip(packing.parameters(), masking.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_masking_equals_packing_from_a_state_given(cell: str) -> None:
    packing, x = RNN(3, 6, cell=cell, layers=2), torch.randn(3, 5, 3)
    _, state = packing(torch.randn(3, 4, 3))
    for one, other in zip(
        packing(x, LENGTHS, state)[1], with_masked_padding(packing)(x, LENGTHS, state)[1], strict=True
    ):
        torch.testing.assert_close(one, other)


def test_masked_layers_ignore_what_the_padding_holds() -> None:
    network, x = with_masked_padding(ManyToOne(3, 6, 2, bidirectional=True)), torch.randn(3, 5, 3)
    answers = network(x, LENGTHS)
    x[1, 2:] = 100.0
    torch.testing.assert_close(network(x, LENGTHS), answers)
