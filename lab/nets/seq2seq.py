"""Networks that write token sequences: one-to-many, and sequence-to-sequence with attention."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lab.nets.init import HE, Init
from lab.nets.layers import Linear
from lab.nets.rnn import RNN, State, length_mask


class Memory(NamedTuple):
    """What a decoder attends to: features [B, S, F]; mask [B, S] bool, false at padding (None: none)."""

    features: Tensor
    mask: Tensor | None


class Attention(nn.Module):
    """Global attention with the "general" score (Luong et al. 2015, section 3.1).

    queries [B, T, hidden], memory -> [B, T, hidden]: each query joined with what it read.
    """

    def __init__(self, hidden: int, memory_features: int, *, init: Init = HE) -> None:
        super().__init__()
        self.score = Linear(memory_features, hidden, bias=False, init=init.with_gain(1.0))
        self.combine = Linear(hidden + memory_features, hidden, bias=False, init=init.with_gain(1.0))

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        scores = queries @ self.score(memory.features).transpose(1, 2)
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask[:, None, :], float("-inf"))
        read = scores.softmax(-1) @ memory.features
        return self.combine(torch.cat([queries, read], dim=-1)).tanh()


class Decoder(nn.Module):
    """A language model over `vocabulary` tokens that starts from a state and may attend to a memory.

    `memory_features` is the width of the memory, 0 for a decoder without attention.
    """

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        *,
        memory_features: int = 0,
        cell: str = "lstm",
        layers: int = 1,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.rnn = RNN(hidden, hidden, cell=cell, layers=layers, dropout=dropout)
        self.attention = Attention(hidden, memory_features, init=init) if memory_features else None
        self.dropout = nn.Dropout(dropout)
        self.out = Linear(hidden, vocabulary, init=init.with_gain(1.0))

    def forward(self, tokens: Tensor, state: State, memory: Memory | None = None) -> tuple[Tensor, State]:
        """Tokens [B, T] int64 read so far -> logits [B, T, vocabulary] of the token after each, new state."""
        outputs, state = self.rnn(self.embedding(tokens), state=state)
        if self.attention is not None:
            assert memory is not None, "a decoder with attention needs a memory"
            outputs = self.attention(outputs, memory)
        return self.out(self.dropout(outputs)), state


def teach(
    decoder: Decoder,
    start: int,
    targets: Tensor,
    state: State,
    memory: Memory | None = None,
    *,
    teacher_forcing: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Logits [B, T, vocabulary] for `targets` [B, T] int64; the decoder reads `start`, then what came before.

    Each token it reads is the target with probability `teacher_forcing`, else its own likeliest token
    (scheduled sampling, Bengio et al. 2015). At 1 all steps are one call.
    """
    inputs = torch.cat([torch.full_like(targets[:, :1], start), targets[:, :-1]], dim=1)
    if teacher_forcing >= 1.0:
        return decoder(inputs, state, memory)[0]
    forced = torch.rand(targets.shape, generator=generator, device=targets.device) < teacher_forcing
    token = inputs[:, 0]
    logits: list[Tensor] = []
    for step in range(targets.shape[1]):
        if step > 0:
            token = torch.where(forced[:, step], inputs[:, step], logits[-1][:, 0].argmax(-1))
        step_logits, state = decoder(token[:, None], state, memory)
        logits.append(step_logits)
    return torch.cat(logits, dim=1)


@torch.no_grad()
def generate(decoder: Decoder, start: int, steps: int, state: State, memory: Memory | None = None) -> Tensor:
    """Greedy decoding: the likeliest token at each step, [B, steps] int64. The caller cuts at the end."""
    token = torch.full((state[0].shape[1], 1), start, device=state[0].device)
    tokens = []
    for _ in range(steps):
        logits, state = decoder(token, state, memory)
        token = logits.argmax(-1)
        tokens.append(token)
    return torch.cat(tokens, dim=1)


class OneToMany(nn.Module):
    """A vector [B, in_features] -> a sequence of tokens, from which the first state is computed."""

    def __init__(
        self,
        in_features: int,
        vocabulary: int,
        hidden: int,
        *,
        start: int = 0,
        cell: str = "lstm",
        layers: int = 1,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        self.start = start
        self.decoder = Decoder(vocabulary, hidden, cell=cell, layers=layers, dropout=dropout, init=init)
        self.parts = 2 if cell == "lstm" else 1
        self.bridge = Linear(in_features, self.parts * layers * hidden, init=init.with_gain(1.0))

    def first_state(self, x: Tensor) -> State:
        rnn = self.decoder.rnn
        states = self.bridge(x).tanh().view(-1, self.parts, rnn.layers, rnn.hidden)
        return tuple(part.transpose(0, 1).contiguous() for part in states.unbind(1))

    def forward(
        self,
        x: Tensor,
        targets: Tensor,
        *,
        teacher_forcing: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """x [B, in_features], targets [B, T] int64 -> logits [B, T, vocabulary]."""
        state = self.first_state(x)
        return teach(self.decoder, self.start, targets, state, teacher_forcing=teacher_forcing, generator=generator)

    def generate(self, x: Tensor, steps: int) -> Tensor:
        """x [B, in_features] -> tokens [B, steps] int64, greedily."""
        return generate(self.decoder, self.start, steps, self.first_state(x))


class SequenceToSequence(nn.Module):
    """Source tokens -> target tokens: recurrent encoder, attention, recurrent decoder.

    Sutskever et al. 2014 with the attention of Luong et al. 2015. The encoder may be bidirectional; a linear
    layer brings its final state, layer by layer, to the decoder's width.
    """

    def __init__(
        self,
        source_vocabulary: int,
        vocabulary: int,
        hidden: int,
        *,
        start: int = 0,
        cell: str = "lstm",
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        self.start = start
        self.embedding = nn.Embedding(source_vocabulary, hidden)
        self.encoder = RNN(hidden, hidden, cell=cell, layers=layers, bidirectional=bidirectional, dropout=dropout)
        width = self.encoder.out_features
        self.decoder = Decoder(
            vocabulary, hidden, memory_features=width, cell=cell, layers=layers, dropout=dropout, init=init
        )
        parts = 2 if cell == "lstm" else 1
        self.bridges = nn.ModuleList(Linear(width, hidden, init=init.with_gain(1.0)) for _ in range(parts))

    def encode(self, source: Tensor, lengths: Tensor | None = None) -> tuple[State, Memory]:
        """Source [B, S] int64, lengths [B] -> the decoder's first state, the memory it attends to."""
        features, final = self.encoder(self.embedding(source), lengths)
        mask = None if lengths is None else length_mask(lengths.to(source.device), source.shape[1])
        state = tuple(bridge(self._by_layer(part)).tanh() for bridge, part in zip(self.bridges, final, strict=True))
        return state, Memory(features, mask)

    def _by_layer(self, part: Tensor) -> Tensor:
        """[layers * directions, B, hidden] -> [layers, B, directions * hidden]."""
        batch = part.shape[1]
        by_layer = part.view(self.encoder.layers, self.encoder.directions, batch, self.encoder.hidden)
        return by_layer.transpose(1, 2).flatten(2)

    def forward(
        self,
        source: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        *,
        teacher_forcing: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Source [B, S] int64 with `lengths` [B], targets [B, T] int64 -> logits [B, T, vocabulary]."""
        state, memory = self.encode(source, lengths)
        return teach(
            self.decoder,
            self.start,
            targets,
            state,
            memory,
            teacher_forcing=teacher_forcing,
            generator=generator,
        )

    def generate(self, source: Tensor, steps: int, lengths: Tensor | None = None) -> Tensor:
        """Source [B, S] int64 with `lengths` [B] -> tokens [B, steps] int64, greedily."""
        return generate(self.decoder, self.start, steps, *self.encode(source, lengths))
