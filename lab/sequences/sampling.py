"""Sampling from a language model."""

import torch
from torch import Tensor

from lab import rng
from lab.nets.seq2seq import mask_logits
from lab.sequences.network import Tagger
from lab.sequences.vocabulary import END, PAD


@torch.no_grad()
def sample(
    network: Tagger,
    prompts: Tensor,
    count: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Tensor:
    """`count` tokens after each of `prompts` int64 [B, S], S at least 1: int64 [B, count].

    Token t of row i is a function of the seed, i and t alone. Logits are divided by `temperature`, 0 for the likeliest
    token; all but the `top_k` likeliest are left out.
    """
    network.eval()
    rows = torch.arange(len(prompts), device=prompts.device)[:, None]
    logits, state = network.forward_with_state(prompts, None)
    written = []
    for step in range(count):
        scores = mask_logits(logits[:, -1].float(), (PAD, END))
        if top_k is not None and top_k < scores.shape[1]:
            least = scores.topk(top_k).values[:, -1:]
            scores = scores.masked_fill(scores < least, float("-inf"))
        if temperature > 0.0:
            ids = torch.arange(scores.shape[1], device=scores.device)
            scores = scores / temperature + rng.gumbel(seed, int(rng.Stream.SAMPLE), rows, step, ids)
        token = scores.argmax(-1, keepdim=True)
        written.append(token)
        logits, state = network.forward_with_state(token, state)
    return torch.cat(written, dim=1) if written else prompts[:, :0]
