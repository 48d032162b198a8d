"""Sampling from a language model."""

import torch
from torch import Tensor

from lab import rng
from lab.nets.seq2seq import mask_logits
from lab.sequences.network import TokenClassifier
from lab.sequences.vocabulary import END, PAD


@torch.no_grad()
def sample(
    network: TokenClassifier,
    prompts: Tensor,
    count: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Tensor:
    """`count` tokens after each of `prompts` int64 [B, S], S at least 1: int64 [B, count].

    The draw of token t of row i depends only on the seed, i and t. Logits are divided by `temperature`; 0 takes the
    most probable token. top_k: sample from the `top_k` most probable tokens.
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
