"""Networks that generate token sequences: one-to-many, and sequence-to-sequence with attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.nets.init import HE, Init
from lab.nets.layers import Linear
from lab.nets.rnn import RNN, State, length_mask


class Memory(NamedTuple):
    """The sequence that a decoder attends to: features [B, S, F]; mask [B, S] bool, false at padding, or None.

    keys: attention keys [B, heads, S, hidden], computed in each call unless given.
    """

    features: Tensor
    mask: Tensor | None
    keys: Tensor | None = None


class Attention(nn.Module):
    """Global attention with the "general" score (Luong et al. 2015, section 3.1).

    queries [B, T, hidden], memory -> [B, T, hidden]: each query combined with its weighted mean of the memory. Every
    head has its own keys (Vaswani et al. 2017, section 3.2.2), so that a query can attend to several positions.
    """

    def __init__(self, hidden: int, memory_features: int, *, heads: int = 1, init: Init = HE) -> None:
        super().__init__()
        self.heads = heads
        self.score = Linear(memory_features, heads * hidden, bias=False, init=init.with_gain(1.0))
        self.combine = Linear(hidden + heads * memory_features, hidden, bias=False, init=init.with_gain(1.0))

    def forward(self, queries: Tensor, memory: Memory) -> Tensor:
        read = self.weights(queries, memory) @ memory.features[:, None]
        return self.combine(torch.cat([queries, read.transpose(1, 2).flatten(2)], dim=-1)).tanh()

    def keys(self, features: Tensor) -> Tensor:
        """Memory features [B, S, F] -> keys [B, heads, S, hidden]."""
        return self.score(features).unflatten(2, (self.heads, -1)).transpose(1, 2)

    def weights(self, queries: Tensor, memory: Memory) -> Tensor:
        """Attention weights [B, heads, T, S]; rows sum to 1, padding has 0."""
        keys = self.keys(memory.features) if memory.keys is None else memory.keys
        scores = queries[:, None] @ keys.transpose(2, 3)
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask[:, None, None, :], float("-inf"))
        return scores.softmax(-1)


class Decoder(nn.Module):
    """A language model over `vocabulary` tokens that starts from a state and may attend to a memory.

    `memory_features` is the width of the memory, 0 for a decoder without attention. `attention` is "top", after the
    last recurrent layer (Luong et al. 2015), or "bottom", after the first (Wu et al. 2016, section 3): the layers above
    then keep the attended values in their state, which adding numbers with a carry needs.
    """

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        *,
        memory_features: int = 0,
        cell: str = "lstm",
        layers: int = 1,
        attention: str = "top",
        heads: int = 1,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        if attention not in ("top", "bottom"):
            raise UserError(f"attention {attention!r} is unknown; use top or bottom")
        between = bool(memory_features) and attention == "bottom"
        if between and layers < 2:
            raise UserError("attention=bottom needs two recurrent layers; use layers=2 or attention=top")
        self.layers = layers
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.rnn = RNN(hidden, hidden, cell=cell, layers=1 if between else layers, dropout=dropout)
        self.upper = RNN(hidden, hidden, cell=cell, layers=layers - 1, dropout=dropout) if between else None
        self.attention = Attention(hidden, memory_features, heads=heads, init=init) if memory_features else None
        self.dropout = nn.Dropout(dropout)
        self.out = Linear(hidden, vocabulary, init=init.with_gain(1.0))

    def forward(self, tokens: Tensor, state: State, memory: Memory | None = None) -> tuple[Tensor, State]:
        """Tokens [B, T] int64 -> logits [B, T, vocabulary] of the token after each, new state."""
        outputs, after = self._lower(tokens, state)
        if self.attention is not None:
            assert memory is not None, "a decoder with attention needs a memory"
            outputs = self.attention(outputs, memory)
        if self.upper is not None:
            outputs, upper = self.upper(self.dropout(outputs), state=tuple(part[1:] for part in state))
            after = tuple(torch.cat(parts) for parts in zip(after, upper, strict=True))
        return self.out(self.dropout(outputs)), after

    def attention_weights(self, tokens: Tensor, state: State, memory: Memory) -> Tensor:
        """Attention weights over the source after each of `tokens` [B, T]: [B, heads, T, S]; rows sum to 1."""
        assert self.attention is not None, "this decoder has no attention"
        return self.attention.weights(self._lower(tokens, state)[0], memory)

    def prepare(self, memory: Memory | None) -> Memory | None:
        """The memory with its keys, which are then computed once and not in every decoding step."""
        if memory is None or self.attention is None:
            return memory
        return memory._replace(keys=self.attention.keys(memory.features))

    def _lower(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return self.rnn(self.embedding(tokens), state=tuple(part[: self.rnn.layers] for part in state))


def teacher_forced_logits(
    decoder: Decoder,
    start: int,
    targets: Tensor,
    state: State,
    memory: Memory | None = None,
    *,
    forced: Tensor | None = None,
) -> Tensor:
    """Logits [B, T, vocabulary] for `targets` [B, T] int64 with teacher forcing; the decoder reads `start` first.

    Before step t it reads the previous target where `forced` [B, T] bool is true at t, else its own most probable token
    (scheduled sampling, Bengio et al. 2015). Without `forced` it always reads the target, in a single call.
    """
    inputs = shift_right(start, targets)
    if forced is None:
        return decoder(inputs, state, memory)[0]
    memory = decoder.prepare(memory)
    token = inputs[:, 0]
    logits: list[Tensor] = []
    for step in range(targets.shape[1]):
        if step > 0:
            token = torch.where(forced[:, step], inputs[:, step], logits[-1][:, 0].argmax(-1))
        step_logits, state = decoder(token[:, None], state, memory)
        logits.append(step_logits)
    return torch.cat(logits, dim=1)


def shift_right(start: int, targets: Tensor) -> Tensor:
    """The decoder inputs for `targets` [B, T]: `start`, then the targets without the last."""
    return torch.cat([torch.full_like(targets[:, :1], start), targets[:, :-1]], dim=1)


def mask_logits(logits: Tensor, forbidden: Sequence[int]) -> Tensor:
    """Logits [..., vocabulary] under which the tokens of `forbidden` have probability 0."""
    for token in forbidden:
        logits = logits.masked_fill(torch.arange(logits.shape[-1], device=logits.device) == token, float("-inf"))
    return logits


@torch.no_grad()
def generate(
    decoder: Decoder,
    start: int,
    steps: int,
    state: State,
    memory: Memory | None = None,
    *,
    end: int | None = None,
    forbidden: Sequence[int] = (),
) -> Tensor:
    """Greedy decoding, tokens [B, steps] int64 without those of `forbidden`; tokens after an end are not removed.

    With `end`, decoding stops when every row has ended; the check costs a host sync at each step.
    """
    memory = decoder.prepare(memory)
    token = torch.full_like(state[0][0, :, :1], start, dtype=torch.int64)
    tokens, ended = [], torch.zeros_like(token, dtype=torch.bool)
    for _ in range(steps):
        logits, state = decoder(token, state, memory)
        token = mask_logits(logits, forbidden).argmax(-1)
        tokens.append(token)
        if end is not None:
            ended = ended | (token == end)
            if bool(ended.all()):
                break
    return torch.cat(tokens, dim=1)


class OneToMany(nn.Module):
    """A vector [B, in_features] -> a sequence of tokens; the initial state is computed from the vector."""

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
        states = self.bridge(x).tanh().view(-1, self.parts, self.decoder.layers, self.decoder.rnn.hidden)
        return tuple(part.transpose(0, 1).contiguous() for part in states.unbind(1))

    def forward(
        self,
        x: Tensor,
        targets: Tensor,
        *,
        forced: Tensor | None = None,
    ) -> Tensor:
        """x [B, in_features], targets [B, T] int64 -> teacher-forced logits [B, T, vocabulary]."""
        return teacher_forced_logits(self.decoder, self.start, targets, self.first_state(x), forced=forced)

    def generate(self, x: Tensor, steps: int) -> Tensor:
        """x [B, in_features] -> tokens [B, steps] int64, greedily."""
        return generate(self.decoder, self.start, steps, self.first_state(x))


class SequenceToSequence(nn.Module):
    """Source tokens -> target tokens: recurrent encoder, attention, recurrent decoder.

    Sutskever et al. 2014 with the attention of Luong et al. 2015. The encoder may be bidirectional and has
    `encoder_layers` layers, by default those of the decoder. A linear layer maps its final state, layer by layer, to
    the initial state of the decoder; additional decoder layers start from the last encoder layer.
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
        encoder_layers: int | None = None,
        bidirectional: bool = True,
        attention: str = "top",
        heads: int = 1,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        self.start = start
        self.embedding = nn.Embedding(source_vocabulary, hidden)
        self.encoder = RNN(
            hidden,
            hidden,
            cell=cell,
            layers=layers if encoder_layers is None else encoder_layers,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        width = self.encoder.out_features
        self.decoder = Decoder(
            vocabulary,
            hidden,
            memory_features=width,
            cell=cell,
            layers=layers,
            attention=attention,
            heads=heads,
            dropout=dropout,
            init=init,
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
        """[encoder layers * directions, B, hidden] -> [decoder layers, B, directions * hidden]."""
        layers, batch = self.encoder.layers, part.shape[1]
        by_layer = part.view(layers, self.encoder.directions, batch, self.encoder.hidden).transpose(1, 2).flatten(2)
        return by_layer[[min(layer, layers - 1) for layer in range(self.decoder.layers)]]

    def forward(
        self,
        source: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        *,
        forced: Tensor | None = None,
    ) -> Tensor:
        """Source [B, S] int64 with `lengths` [B], targets [B, T] int64 -> teacher-forced logits [B, T, vocabulary]."""
        return teacher_forced_logits(self.decoder, self.start, targets, *self.encode(source, lengths), forced=forced)

    def generate(self, source: Tensor, steps: int, lengths: Tensor | None = None) -> Tensor:
        """Source [B, S] int64 with `lengths` [B] -> tokens [B, steps] int64, greedily."""
        return generate(self.decoder, self.start, steps, *self.encode(source, lengths))
