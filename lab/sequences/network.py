"""The networks of every shape, which all read tokens and are trained and asked alike."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.nets.beam import beam_search
from lab.nets.rnn import ManyToMany, ManyToOne, State
from lab.nets.seq2seq import Decoder, Memory, OneToMany, SequenceToSequence, barred, generate
from lab.sequences.config import NetworkConfig
from lab.sequences.vocabulary import END, PAD
from lab.train.step import LossSum


class Answers(NamedTuple):
    """What a network answers, best first: tokens int64 [B, K, T], `PAD` behind an end, or numbers float32 [B, K].

    scores [B, K]: log-probabilities of the tokens, None where nothing was searched; K is 1 but for beam search.
    """

    values: Tensor
    scores: Tensor | None


class Decoding(NamedTuple):
    """How answers are sought: sequences of at most `steps` tokens, the end included, greedily or by a beam."""

    steps: int
    beam: int = 1
    length_penalty: float = 0.0


class Width(NamedTuple):
    """Tokens that inputs and answers may have, 0 answers for a number; symbols of an input, if all have as many."""

    inputs: int
    targets: int
    length: int = 0


class OneStep(nn.Module):
    """Inputs of one length [B, S] int64 -> [B, features]: one vector from all symbols, whose places are told apart."""

    def __init__(self, width: Width, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(width.length * width.inputs, features)
        self.first: Tensor
        self.register_buffer("first", width.inputs * torch.arange(width.length), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.embedding(inputs + self.first).sum(1)


class Labeller(nn.Module):
    """One answer for an input: a label's logits [B, 1, labels], or a number [B]. One to one, and many to one."""

    def __init__(self, config: NetworkConfig, width: Width) -> None:
        super().__init__()
        hidden, self.numbers = config.hidden, width.targets == 0
        one_step = config.shape == "one_to_one"
        self.embedding = OneStep(width, hidden) if one_step else nn.Embedding(width.inputs, hidden)
        self.one_step = one_step
        self.body = ManyToOne(
            hidden,
            hidden,
            width.targets or 1,
            cell=config.cell,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor | None = None, forced: None = None) -> Tensor:
        read = self.embedding(inputs)
        outputs = self.body(read[:, None]) if self.one_step else self.body(read, lengths)
        return outputs[:, 0] if self.numbers else outputs[:, None]

    def answer(self, inputs: Tensor, lengths: Tensor, how: Decoding) -> Answers:
        outputs = self(inputs, lengths)
        if self.numbers:
            return Answers(outputs.float()[:, None], None)
        scores, labels = barred(outputs[:, 0].float(), (PAD, END)).log_softmax(-1).max(-1)
        return Answers(labels[:, None, None], scores[:, None])


class Tagger(nn.Module):
    """A tag for every symbol, logits [B, S, tags]: many to many in step. A language model's tag is the next symbol."""

    def __init__(self, config: NetworkConfig, width: Width) -> None:
        super().__init__()
        self.without_padding = config.shape == "language_model"
        self.embedding = nn.Embedding(width.inputs, config.hidden)
        self.body = ManyToMany(
            config.hidden,
            config.hidden,
            width.targets,
            cell=config.cell,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor | None = None, forced: None = None) -> Tensor:
        return self.body(self.embedding(inputs), None if self.without_padding else lengths)[0]

    def going_on(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits [B, S, symbols] after whole inputs, from a state; the state after them."""
        return self.body(self.embedding(inputs), state=state)

    def answer(self, inputs: Tensor, lengths: Tensor, how: Decoding) -> Answers:
        scores, tags = barred(self(inputs, lengths).float(), (PAD, END)).log_softmax(-1).max(-1)
        seen = inputs != PAD
        return Answers(torch.where(seen, tags, PAD)[:, None], (scores * seen).sum(1, keepdim=True))


class Writer(nn.Module):
    """A sequence for an input read at once: one to many."""

    def __init__(self, config: NetworkConfig, width: Width) -> None:
        super().__init__()
        self.embedding = OneStep(width, config.hidden)
        self.body = OneToMany(
            config.hidden,
            width.targets,
            config.hidden,
            start=PAD,
            cell=config.cell,
            layers=config.layers,
            dropout=config.dropout,
        )

    def forward(self, inputs: Tensor, lengths: Tensor, targets: Tensor, forced: Tensor | None = None) -> Tensor:
        return self.body(self.embedding(inputs), targets, forced=forced)

    def answer(self, inputs: Tensor, lengths: Tensor, how: Decoding) -> Answers:
        state = self.body.first_state(self.embedding(inputs))
        return write(self.body.decoder, how, state)


class Translator(nn.Module):
    """A sequence for a sequence: encoder, attention, decoder."""

    def __init__(self, config: NetworkConfig, width: Width) -> None:
        super().__init__()
        self.body = SequenceToSequence(
            width.inputs,
            width.targets,
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

    def answer(self, inputs: Tensor, lengths: Tensor, how: Decoding) -> Answers:
        return write(self.body.decoder, how, *self.body.encode(inputs, lengths))


Network = Labeller | Tagger | Writer | Translator
"""Called with inputs int64 [B, S], lengths [B], targets and `forced` (see `lab.nets.seq2seq.teach`), gives logits
[B, T, symbols] for targets [B, T], or numbers [B]. `answer` gives answers to inputs alone."""


def make_network(config: NetworkConfig, width: Width) -> Network:
    """The network of a shape, for so many symbols."""
    if config.shape in ("one_to_one", "many_to_one"):
        return Labeller(config, width)
    if config.shape in ("many_to_many", "language_model"):
        return Tagger(config, width)
    return (Writer if config.shape == "one_to_many" else Translator)(config, width)


def heads_of(network: Network) -> list[nn.Module]:
    """The output layers."""
    return [module.out for module in network.modules() if isinstance(module, ManyToOne | ManyToMany | Decoder)]


def write(decoder: Decoder, how: Decoding, state: State, memory: Memory | None = None) -> Answers:
    """Sequences from a decoder's first state: the greedy one, or the best of a beam with their scores."""
    if how.beam == 1:
        return Answers(cut(generate(decoder, PAD, how.steps, state, memory, end=END, never=(PAD,)))[:, None], None)
    found = beam_search(
        decoder, PAD, END, how.steps, state, memory, width=how.beam, length_penalty=how.length_penalty, never=(PAD,)
    )
    return Answers(cut(found.tokens), found.scores)


def cut(tokens: Tensor) -> Tensor:
    """Tokens [..., T] with `PAD` behind the first end."""
    ends = (tokens == END).long()
    return torch.where(ends.cumsum(-1) - ends > 0, PAD, tokens)


def loss_sum(outputs: Tensor, targets: Tensor) -> LossSum:
    """Cross-entropy over the symbols of targets [B, T] that are no padding, or squared errors of numbers [B]."""
    if targets.is_floating_point():
        return LossSum(F.mse_loss(outputs.float(), targets, reduction="sum"), targets.numel())
    total = F.cross_entropy(outputs.float().flatten(0, 1), targets.flatten(), ignore_index=PAD, reduction="sum")
    return LossSum(total, (targets != PAD).sum())
