"""A hierarchical attention network (Yang et al. 2016): words to sentences, sentences to an essay, each by a recurrent
layer in both directions and attention."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lab.grading.config import NetworkConfig
from lab.grading.vocabulary import CASES
from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.nets.rnn import RNN, length_mask

_PLACES = 2  # inputs that say where in the essay a sentence stands
_PARAGRAPH = 1  # input that says that it begins a paragraph


class Sizes(NamedTuple):
    """Ids of words, surface features, and scores with those of traits."""

    words: int
    surface: int
    scores: int


class EssayBatch(NamedTuple):
    """B essays: tokens int64 [B, S, W], 0 after the `lengths` int64 [B, S] of the sentences, which are 0 after the last
    one; opens float32 [B, S], 1 at the first sentence of a paragraph; surface float32 [B, F]; base float32 [B, O], the
    linear part's scores; targets float32 [B, O], NaN where missing; shuffled float32 [B], 1 where the sentences are in
    random order. Scores are standardized."""

    tokens: Tensor
    lengths: Tensor
    opens: Tensor
    surface: Tensor
    base: Tensor
    targets: Tensor
    shuffled: Tensor

    def part(self, rows: slice) -> "EssayBatch":
        return EssayBatch(*(tensor[rows] for tensor in self))

    def to(self, device: torch.device) -> "EssayBatch":
        return EssayBatch(*(tensor.to(device) for tensor in self))


class Reading(NamedTuple):
    """scores float32 [B, O]; shuffled_logit float32 [B], the logit of a random order of the sentences, None where that
    is not learned; attention [B, S] over sentences and [B, S, W] over the words of each: rows of sum 1 without
    padding."""

    scores: Tensor
    shuffled_logit: Tensor | None
    sentences: Tensor
    words: Tensor


class AttentionPool(nn.Module):
    """The mean of vectors [B, T, C], weighted by softmax(v tanh(W x)): [B, C] and the weights [B, T]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.key, self.query = Linear(features, features), Linear(features, 1, bias=False, init=HE.with_gain(1.0))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """mask: bool [B, T], with a true entry in each row."""
        logits = self.query(torch.tanh(self.key(x)))[..., 0].float()
        weights = logits.masked_fill(~mask, -torch.inf).softmax(-1)
        return (weights[:, None].to(x.dtype) @ x)[:, 0], weights


class EssayNetwork(nn.Module):
    """Scores of essays: `base` plus what the network reads in words, sentences and surface features.

    detects_shuffling: a second output says how likely the sentences are in random order (Farag, Yannakoudakis and
    Briscoe 2018, "Neural automated essay scoring and coherence modeling for adversarially crafted input").
    """

    ending_of: Tensor

    def __init__(
        self, config: NetworkConfig, sizes: Sizes, ending_of: Tensor, *, detects_shuffling: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("ending_of", ending_of, persistent=False)
        self.embedding = nn.Embedding(sizes.words, config.embedding, padding_idx=0)
        self.case = nn.Embedding(CASES, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.case.weight)
        self.words = _recurrent(config.embedding, config)
        self.word_pool = AttentionPool(self.words.out_features)
        self.sentences = _recurrent(self.words.out_features + _PLACES + _PARAGRAPH, config)
        self.sentence_pool = AttentionPool(self.sentences.out_features)
        self.dropout = nn.Dropout(config.dropout)
        self.surface = Linear(sizes.surface, config.hidden)
        self.out = Linear(self.sentences.out_features + config.hidden, sizes.scores)
        self.shuffle_detector = Linear(self.sentences.out_features, 1) if detects_shuffling else None
        if config.linear:
            # Training begins at the linear part.
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    @property
    def heads(self) -> list[nn.Module]:
        """The output layers."""
        return [self.out] if self.shuffle_detector is None else [self.out, self.shuffle_detector]

    def forward(self, batch: EssayBatch) -> Reading:
        tokens, lengths = batch.tokens, batch.lengths
        essays, sentences, _ = tokens.shape
        present = lengths > 0
        flat, filled = tokens.flatten(0, 1), lengths.flatten().clamp(min=1)
        if self.words.masked:  # a fixed shape: on a GPU counting the sentences is a host sync
            vectors, word_weights = self._sentences(flat, filled)
        else:  # on a CPU half of the rows are padding, and are not computed
            places = present.flatten().nonzero()[:, 0]
            some, some_weights = self._sentences(flat[places], filled[places])
            vectors = some.new_zeros(len(flat), some.shape[1]).index_copy(0, places, some)
            word_weights = some_weights.new_zeros(flat.shape).index_copy(0, places, some_weights)
        count = present.sum(1)
        place = torch.arange(sentences, device=tokens.device) / (count[:, None] - 1).clamp(min=1)
        where = torch.stack([place, 1.0 - place, batch.opens], 2).to(vectors.dtype)
        inputs = torch.cat([self.dropout(vectors).view(essays, sentences, -1), where], 2)
        read, _ = self.sentences(inputs, count.clamp(min=1))
        at_least_one = torch.cat([torch.ones_like(present[:, :1]), present[:, 1:]], 1)
        vector, sentence_weights = self.sentence_pool(self.dropout(read), at_least_one)
        seen = torch.cat([vector, torch.relu(self.surface(batch.surface.to(vector.dtype)))], 1)
        scores = batch.base + self.out(self.dropout(seen)).float()
        shuffled = None if self.shuffle_detector is None else self.shuffle_detector(self.dropout(vector))[:, 0].float()
        return Reading(scores, shuffled, sentence_weights, word_weights.view(tokens.shape))

    def _sentences(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [N, C] of sentences [N, W], and the attention [N, W] to their words."""
        read, _ = self.words(self._embedded(tokens), lengths)
        return self.word_pool(self.dropout(read), length_mask(lengths, tokens.shape[1]))

    def _embedded(self, tokens: Tensor) -> Tensor:
        ids, cases = tokens // CASES, tokens % CASES
        if self.training and self.config.word_dropout:
            unknown = torch.rand(ids.shape, device=ids.device) < self.config.word_dropout
            ids = torch.where(unknown, self.ending_of[ids], ids)
        return self.dropout(self.embedding(ids) + self.case(cases))


def _recurrent(in_features: int, config: NetworkConfig) -> RNN:
    return RNN(
        in_features,
        config.hidden,
        cell=config.cell,
        layers=config.layers,
        bidirectional=True,
        dropout=config.dropout,
    )
