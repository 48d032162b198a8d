"""Networks that write sequences: one-to-many, sequence-to-sequence, attention, teacher forcing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from lab.errors import UserError
from lab.nets.seq2seq import Attention, Memory, OneToMany, SequenceToSequence, generate

SOURCE = torch.randint(1, 7, (3, 5), generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(1, 7, (3, 4), generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([5, 2, 1])


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_attention_reads_a_lone_item_whole() -> None:
    attention, queries, features = Attention(4, 6), torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[:, 2] = True
    expected = attention.combine(torch.cat([queries, features[:, 2:3].expand(-1, 3, -1)], -1)).tanh()
    torch.testing.assert_close(attention(queries, Memory(features, mask)), expected)


def test_parameter_counts_are_the_closed_forms() -> None:
    vocabulary, hidden = 7, 8
    gru = 3 * (2 * hidden * hidden + 2 * hidden)
    decoder = vocabulary * hidden + gru + hidden * vocabulary + vocabulary
    assert parameters(OneToMany(3, vocabulary, hidden, cell="gru")) == decoder + 3 * hidden + hidden
    attention = 2 * hidden * hidden + 3 * hidden * hidden  # score and combine over a memory twice as wide
    encoder = vocabulary * hidden + 2 * gru
    bridge = 2 * hidden * hidden + hidden
    network = SequenceToSequence(vocabulary, vocabulary, hidden, cell="gru")
    assert parameters(network) == decoder + attention + encoder + bridge


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_source_padding_changes_nothing(cell: str, bidirectional: bool, layers: int) -> None:
    network = SequenceToSequence(7, 7, 8, cell=cell, layers=layers, bidirectional=bidirectional)
    logits = network(SOURCE, TARGETS, LENGTHS)
    assert logits.shape == (3, 4, 7)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = network(SOURCE[row : row + 1, :length], TARGETS[row : row + 1])
        torch.testing.assert_close(logits[row : row + 1], alone)


def test_teacher_forced_logits_do_not_see_the_future() -> None:
    network = SequenceToSequence(7, 7, 8)
    changed = TARGETS.clone()
    changed[:, 2] = 0
    before, after = network(SOURCE, TARGETS), network(SOURCE, changed)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])


def test_free_running_equals_greedy_generation_and_ignores_targets() -> None:
    network, x = OneToMany(3, 7, 8).eval(), torch.randn(3, 3)
    unforced = torch.zeros_like(TARGETS, dtype=torch.bool)
    free = network(x, TARGETS, forced=unforced)
    assert torch.equal(free, network(x, TARGETS.flip(1), forced=unforced))
    assert torch.equal(free.argmax(-1), network.generate(x, 4))


def test_stepwise_decoding_equals_one_call_when_every_token_is_forced() -> None:
    network = SequenceToSequence(7, 7, 8, layers=2)
    stepwise = network(SOURCE, TARGETS, forced=torch.ones_like(TARGETS, dtype=torch.bool))
    torch.testing.assert_close(stepwise, network(SOURCE, TARGETS))


def test_scheduled_sampling_reads_the_target_exactly_where_it_is_forced() -> None:
    network, forced = SequenceToSequence(7, 7, 8), torch.tensor([[True, True, False, True]]).expand(3, -1)
    mixed = network(SOURCE, TARGETS, forced=forced)
    own = network(SOURCE, TARGETS)[:, 1].argmax(-1)
    read = torch.cat([TARGETS[:, :1], own[:, None], TARGETS[:, 2:]], dim=1)
    torch.testing.assert_close(mixed, network(SOURCE, read))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("encoder_layers", [1, 2, 3])
def test_an_encoder_may_have_other_layers_than_the_decoder(cell: str, encoder_layers: int) -> None:
    network = SequenceToSequence(7, 7, 8, cell=cell, layers=2, encoder_layers=encoder_layers)
    state, _ = network.encode(SOURCE, LENGTHS)
    assert all(part.shape == (2, 3, 8) for part in state)
    assert torch.equal(state[0][0], state[0][1]) == (encoder_layers == 1)
    assert network(SOURCE, TARGETS, LENGTHS).shape == (3, 4, 7)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers_above_the_attention_see_what_was_read_before(cell: str) -> None:
    network = SequenceToSequence(7, 7, 8, cell=cell, layers=3, attention="bottom").eval()
    logits = network(SOURCE, TARGETS, LENGTHS)
    alone = network(SOURCE[1:2, :2], TARGETS[1:2])
    torch.testing.assert_close(logits[1:2], alone)
    stepwise = network(SOURCE, TARGETS, LENGTHS, forced=torch.ones_like(TARGETS, dtype=torch.bool))
    torch.testing.assert_close(stepwise, logits)


def test_attention_weights_sum_to_one_and_leave_out_padding() -> None:
    network = SequenceToSequence(7, 7, 8, layers=2, attention="bottom", heads=3)
    weights = network.decoder.attention_weights(TARGETS, *network.encode(SOURCE, LENGTHS))
    assert weights.shape == (3, 3, 4, 5) and bool((weights[1, :, :, 2:] == 0).all())
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, 4))


def test_heads_that_are_alike_read_what_one_reads() -> None:
    one, two, queries = Attention(4, 6), Attention(4, 6, heads=2), torch.randn(2, 3, 4)
    memory = Memory(torch.randn(2, 5, 6), None)
    two.score.weight.data = one.score.weight.data.repeat(2, 1)
    query, read = one.combine.weight.data.split([4, 6], dim=1)
    two.combine.weight.data = torch.cat([query, read * 0.25, read * 0.75], dim=1)
    torch.testing.assert_close(two(queries, memory), one(queries, memory))


def test_generation_stops_once_every_row_has_ended() -> None:
    network, x = OneToMany(3, 7, 8).eval(), torch.randn(6, 3)
    whole = network.generate(x, 20)
    row, end = whole[:1], int(whole[0, 3])
    first = int((row[0] == end).nonzero()[0])
    state = network.first_state(x[:1])
    assert torch.equal(generate(network.decoder, 0, 20, state, end=end), row[:, : first + 1])


def test_attention_between_layers_needs_two() -> None:
    with pytest.raises(UserError, match="layers=2"):
        SequenceToSequence(7, 7, 8, attention="bottom")


@pytest.mark.parametrize("task", ["one_to_many", "reverse"])
def test_overfits_one_batch(task: str) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(8, 3) if task == "one_to_many" else torch.randint(1, 7, (8, 5))
    targets = torch.randint(1, 7, (8, 5)) if task == "one_to_many" else inputs.flip(1)
    network = OneToMany(3, 7, 32) if task == "one_to_many" else SequenceToSequence(7, 7, 32, cell="gru")
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(80):
        loss = functional.cross_entropy(network(inputs, targets).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert torch.equal(network.generate(inputs, 5), targets)


# Export notes that the LSTM keeps its weights in a list as well.
@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize(
    ("network", "inputs"),
    [(OneToMany(3, 7, 8), torch.randn(3, 3)), (SequenceToSequence(7, 7, 8, cell="gru"), SOURCE)],
)
def test_exported_network_computes_the_same(network: nn.Module, inputs: torch.Tensor) -> None:
    network = network.eval()
    exported = torch.export.export(network, (inputs, TARGETS)).module()
    torch.testing.assert_close(exported(inputs, TARGETS), network(inputs, TARGETS))
