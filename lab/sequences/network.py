"""The networks of all shapes. They read token ids and have one interface for training and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.nets.beam import beam_search
from lab.nets.rnn import ManyToMany, ManyToOne, State
from lab.nets.seq2seq import Decoder, Memory, OneToMany, SequenceToSequence, generate, mask_logits
from lab.sequences.vocabulary import END, PAD
from lab.train.step import LossSum

if TYPE_CHECKING:
    from lab.sequences.config import NetworkConfig


class Answers(NamedTuple):
    """Answers of a network, best first: ids int64 [B, K, T] with `PAD` after the end, or numbers [B, K].

    scores [B, K]: log-probabilities, None for greedy sequences and numbers. K is the width of the beam, else 1.
    """

    values: Tensor
    scores: Tensor | None


class Decoding(NamedTuple):
    """Decoding of sequences: at most `steps` tokens including the end, greedily or by beam search."""

    steps: int
    beam: int = 1
    length_penalty: float = 0.0


class DataSizes(NamedTuple):
    """Sizes of the input and target vocabularies, 0 targets for numbers, and the length of the longest input."""

    inputs: int
    targets: int
    length: int = 0


class OneStep(nn.Module):
    """Inputs of one length [B, S] int64 -> [B, features]: a sum of embeddings, one per position and token."""

    def __init__(self, sizes: DataSizes, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.length * sizes.inputs, features)
        self.first: Tensor
        self.register_buffer("first", sizes.inputs * torch.arange(sizes.length), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.embedding(inputs + self.first).sum(1)


class SequenceClassifier(nn.Module):
    """One output for an input: logits of labels [B, 1, labels], or a number [B]. One to one and many to one."""

    def __init__(self, config: NetworkConfig, sizes: DataSizes) -> None:
        super().__init__()
        hidden, self.numbers = config.hidden, sizes.targets == 0
        one_step = config.kind.fixed_length
        self.embedding = OneStep(sizes, hidden) if one_step else nn.Embedding(sizes.inputs, hidden)
        self.one_step = one_step
        self.body = ManyToOne(
            hidden,
            hidden,
            sizes.targets or 1,
            cell=config.cell,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor | None = None, forced: None = None) -> Tensor:
        read = self.embedding(inputs)
        outputs = self.body(read[:, None]) if self.one_step else self.body(read, lengths)
        return outputs[:, 0] if self.numbers else outputs[:, None]

    def answer(self, inputs: Tensor, lengths: Tensor, decoding: Decoding) -> Answers:
        outputs = self(inputs, lengths)
        if self.numbers:
            return Answers(outputs.float()[:, None], None)
        scores, labels = mask_logits(outputs[:, 0].float(), (PAD, END)).log_softmax(-1).max(-1)
        return Answers(labels[:, None, None], scores[:, None])


class TokenClassifier(nn.Module):
    """Logits of a tag for every token [B, S, tags]: many to many. In a language model the tags are the next tokens."""

    def __init__(self, config: NetworkConfig, sizes: DataSizes) -> None:
        super().__init__()
        self.without_padding = config.kind.is_language_model
        self.embedding = nn.Embedding(sizes.inputs, config.hidden)
        self.body = ManyToMany(
            config.hidden,
            config.hidden,
            sizes.targets,
            cell=config.cell,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor | None = None, forced: None = None) -> Tensor:
        return self.body(self.embedding(inputs), None if self.without_padding else lengths)[0]

    def forward_with_state(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits [B, S, tokens] for inputs without padding that follow `state`, and the state after them."""
        return self.body(self.embedding(inputs), state=state)

    def answer(self, inputs: Tensor, lengths: Tensor, decoding: Decoding) -> Answers:
        scores, tags = mask_logits(self(inputs, lengths).float(), (PAD, END)).log_softmax(-1).max(-1)
        mask = inputs != PAD
        return Answers(torch.where(mask, tags, PAD)[:, None], (scores * mask).sum(1, keepdim=True))


class OneToManyNetwork(nn.Module):
    """Generates a sequence for an input of fixed length: one to many."""

    def __init__(self, config: NetworkConfig, sizes: DataSizes) -> None:
        super().__init__()
        self.embedding = OneStep(sizes, config.hidden)
        self.body = OneToMany(
            config.hidden,
            sizes.targets,
            config.hidden,
            start=PAD,
            cell=config.cell,
            layers=config.layers,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor, forced: Tensor | None = None) -> Tensor:
        return self.body(self.embedding(inputs), targets, forced=forced)

    def answer(self, inputs: Tensor, lengths: Tensor, decoding: Decoding) -> Answers:
        state = self.body.first_state(self.embedding(inputs))
        return generate_answers(self.body.decoder, decoding, state)


class EncoderDecoder(nn.Module):
    """Generates a sequence for a sequence: encoder, attention and decoder."""

    def __init__(self, config: NetworkConfig, sizes: DataSizes) -> None:
        super().__init__()
        self.body = SequenceToSequence(
            sizes.inputs,
            sizes.targets,
            config.hidden,
            start=PAD,
            cell=config.cell,
            layers=config.layers,
            encoder_layers=config.encoder_layers,
            bidirectional=config.bidirectional,
            attention=config.attention,
            heads=config.heads,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor, forced: Tensor | None = None) -> Tensor:
        return self.body(inputs, targets, lengths, forced=forced)

    def answer(self, inputs: Tensor, lengths: Tensor, decoding: Decoding) -> Answers:
        return generate_answers(self.body.decoder, decoding, *self.body.encode(inputs, lengths))


Network = SequenceClassifier | TokenClassifier | OneToManyNetwork | EncoderDecoder
"""Forward takes inputs int64 [B, S], lengths [B], targets and `forced` (see `lab.nets.seq2seq`) and
returns logits [B, T, tokens] for targets [B, T], or numbers [B]. `answer` needs only the inputs."""


def heads_of(network: Network) -> list[nn.Module]:
    """The output layers."""
    return [module.out for module in network.modules() if isinstance(module, ManyToOne | ManyToMany | Decoder)]


def generate_answers(decoder: Decoder, decoding: Decoding, state: State, memory: Memory | None = None) -> Answers:
    """Sequences from the initial state of a decoder: the greedy one, or those of a beam with scores."""
    if decoding.beam == 1:
        return Answers(
            pad_after_end(generate(decoder, PAD, decoding.steps, state, memory, end=END, forbidden=(PAD,)))[:, None],
            None,
        )
    found = beam_search(
        decoder,
        PAD,
        END,
        decoding.steps,
        state,
        memory,
        width=decoding.beam,
        length_penalty=decoding.length_penalty,
        forbidden=(PAD,),
    )
    return Answers(pad_after_end(found.tokens), found.scores)


def pad_after_end(tokens: Tensor) -> Tensor:
    """Ids [..., T] with `PAD` after the first end."""
    ends = (tokens == END).long()
    return torch.where(ends.cumsum(-1) - ends > 0, PAD, tokens)


def loss_sum(outputs: Tensor, targets: Tensor) -> LossSum:
    """Sum of the cross-entropy over targets [B, T] without padding, or of the squared errors of numbers [B]."""
    if targets.is_floating_point():
        return LossSum(F.mse_loss(outputs.float(), targets, reduction="sum"), targets.numel())
    total = F.cross_entropy(outputs.float().flatten(0, 1), targets.flatten(), ignore_index=PAD, reduction="sum")
    return LossSum(total, (targets != PAD).sum())
