"""Beam search against exhaustive search over a tiny vocabulary."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from lab.nets.beam import beam_search
from lab.nets.rnn import State
from lab.nets.seq2seq import Decoder, Memory, SequenceToSequence

VOCABULARY, STEPS, START, END = 4, 4, 0, 1
SOURCE, LENGTHS = torch.tensor([[2, 3, 2, 1], [3, 3, 1, 1]]), torch.tensor([4, 2])


def network(seed: int) -> SequenceToSequence:
    torch.manual_seed(seed)
    made = SequenceToSequence(VOCABULARY, VOCABULARY, 8, layers=2, attention="bottom").eval()
    made.decoder.out.weight.data *= 4.0  # far from uniform, so that the order is not up to rounding
    return made


def every_sequence(decoder: Decoder, state: State, memory: Memory) -> list[tuple[float, tuple[int, ...]]]:
    """All that can be written in `STEPS` tokens by one row, likeliest first: each scored alone, token by token."""
    found: dict[tuple[int, ...], float] = {}
    for tokens in itertools.product(range(VOCABULARY), repeat=STEPS):
        cut = tokens[: tokens.index(END) + 1] if END in tokens else tokens
        logits, _ = decoder(torch.tensor([[START, *cut[:-1]]]), state, memory)
        chances = logits[0].log_softmax(-1)
        found[cut] = float(sum(chances[step, token] for step, token in enumerate(cut)))
    return sorted(((score, tokens) for tokens, score in found.items()), reverse=True)


def row_of(state: State, memory: Memory, row: int) -> tuple[State, Memory]:
    assert memory.mask is not None
    rows = slice(row, row + 1)
    return tuple(part[:, rows].contiguous() for part in state), Memory(memory.features[rows], memory.mask[rows])


def cut(tokens: Tensor) -> tuple[int, ...]:
    written = tuple(tokens.tolist())
    return written[: written.index(END) + 1] if END in written else written


@pytest.mark.parametrize("seed", [0, 1, 2])
@torch.no_grad()
def test_a_beam_that_holds_everything_is_exhaustive_search_for_every_row(seed: int) -> None:
    net = network(seed)
    state, memory = net.encode(SOURCE, LENGTHS)
    width = VOCABULARY**STEPS
    found = beam_search(net.decoder, START, END, STEPS, state, memory, width=width)
    for row in range(len(SOURCE)):
        expected = every_sequence(net.decoder, *row_of(state, memory, row))
        scores = found.scores[row].isfinite().sum()
        assert int(scores) == len(expected)
        torch.testing.assert_close(found.scores[row, : len(expected)], torch.tensor([score for score, _ in expected]))
        assert {cut(found.tokens[row, k]) for k in range(len(expected))} == {tokens for _, tokens in expected}
        assert cut(found.tokens[row, 0]) == expected[0][1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_beam_of_one_is_greedy_decoding(seed: int) -> None:
    net = network(seed)
    greedy = net.generate(SOURCE, STEPS, LENGTHS)
    found = beam_search(net.decoder, START, END, STEPS, *net.encode(SOURCE, LENGTHS), width=1)
    for row in range(len(SOURCE)):
        assert cut(found.tokens[row, 0]) == cut(greedy[row])


@pytest.mark.slow
@torch.no_grad()
def test_a_wider_beam_finds_what_greedy_decoding_misses() -> None:
    better = 0
    for seed in range(8):
        net = network(seed)
        state, memory = net.encode(SOURCE, LENGTHS)
        narrow, wide = (beam_search(net.decoder, START, END, STEPS, state, memory, width=w) for w in (1, 8))
        best = every_sequence(net.decoder, *row_of(state, memory, 0))[0][0]
        assert float(wide.scores[0, 0]) == pytest.approx(best, abs=1e-4)
        better += float(wide.scores[0, 0]) > float(narrow.scores[0, 0]) + 1e-4
    assert better > 0


def test_a_length_penalty_changes_the_order_as_its_formula_says() -> None:
    net = network(3)
    state, memory = net.encode(SOURCE, LENGTHS)
    found = beam_search(net.decoder, START, END, STEPS, state, memory, width=64, length_penalty=1.5)
    for row in range(len(SOURCE)):
        lengths = torch.tensor([len(cut(tokens)) for tokens in found.tokens[row]])
        ranked = found.scores[row] / ((5 + lengths) / 6) ** 1.5
        assert torch.equal(ranked, ranked.sort(descending=True).values)
    assert not torch.equal(found.scores, found.scores.sort(descending=True).values)
