"""Beam search over a decoder, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lab.nets.rnn import State
from lab.nets.seq2seq import Decoder, Memory, mask_logits


class Hypotheses(NamedTuple):
    """The best sequences of each row, best first.

    tokens [B, width, T] int64, padded with `end`; scores [B, width], log-probabilities including the first `end`. A
    score of -inf marks an unused entry.
    """

    tokens: Tensor
    scores: Tensor


@torch.no_grad()
def beam_search(
    decoder: Decoder,
    start: int,
    end: int,
    steps: int,
    state: State,
    memory: Memory | None = None,
    *,
    width: int,
    length_penalty: float = 0.0,
    forbidden: Sequence[int] = (),
) -> Hypotheses:
    """Beam search of `width`: the most probable sequences of at most `steps` tokens, without the tokens of `forbidden`.

    A finished sequence stays in the beam while its probability is among the best. `length_penalty` only orders the
    results: log-probability / ((5 + length) / 6) ** penalty (Wu et al. 2016, section 7). T is at most `steps`: the
    search stops when all sequences have ended, which costs a host sync at each step.
    """
    batch, device = state[0].shape[1], state[0].device
    state = tuple(part.repeat_interleave(width, dim=1) for part in state)
    memory = _repeated(decoder.prepare(memory), width)
    scores = torch.full((batch, width), float("-inf"), device=device)
    scores[:, 0] = 0.0  # a single empty sequence
    written = torch.full((batch, width, 0), end, device=device)
    lengths = torch.zeros(batch, width, dtype=torch.int64, device=device)
    ended = torch.zeros(batch, width, dtype=torch.bool, device=device)
    token = torch.full((batch * width, 1), start, device=device)
    first_row = width * torch.arange(batch, device=device)[:, None]
    for _ in range(steps):
        logits, state = decoder(token, state, memory)
        continued = mask_logits(logits[:, 0].float(), forbidden).log_softmax(-1).view(batch, width, -1)
        vocabulary = continued.shape[-1]
        finished = torch.full_like(continued, float("-inf"))
        finished[:, :, end] = 0.0
        totals = scores[:, :, None] + torch.where(ended[:, :, None], finished, continued)
        scores, chosen = totals.flatten(1).topk(width)
        origin, next_token = chosen // vocabulary, chosen % vocabulary
        written = torch.cat([written.gather(1, origin[:, :, None].expand_as(written)), next_token[:, :, None]], dim=2)
        was_ended = ended.gather(1, origin)
        lengths = lengths.gather(1, origin) + (~was_ended).long()
        ended = was_ended | (next_token == end)
        state = tuple(part.index_select(1, (first_row + origin).flatten()) for part in state)
        token = next_token.reshape(-1, 1)
        if bool(ended.all()):
            break
    ranked = scores / ((5.0 + lengths) / 6.0) ** length_penalty
    order = ranked.argsort(dim=1, descending=True, stable=True)
    return Hypotheses(written.gather(1, order[:, :, None].expand_as(written)), scores.gather(1, order))


def _repeated(memory: Memory | None, width: int) -> Memory | None:
    if memory is None:
        return None
    return Memory(*(None if part is None else part.repeat_interleave(width, dim=0) for part in memory))  # type: ignore[arg-type]
