"""Elman's letters in words: the error of predicting the next letter is high where a word begins."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.milestones.fitting import minimise
from lab.milestones.simple_recurrent import SimpleRecurrent
from lab.train.config import ScheduledOptimizerConfig
from lab.train.modes import evaluating

WORDS = (
    "river", "stone", "cloud", "garden", "winter", "summer", "bread", "water", "window", "bridge", "silver", "flower",
    "morning", "shadow", "basket",
)  # fmt: skip
"""No word begins another, so that letters read from the start tell where words end."""
ALPHABET = "".join(sorted(set("".join(WORDS))))
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=1e-2, weight_decay=0.0, gradient_clip=1.0)


def text(count: int, words: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`count` runs of random words without spaces: letters int64 [count, T] and places in their words [count, T].

    T is the length that the shortest run has for sure: `words` times the shortest word.
    """
    length = words * min(map(len, WORDS))
    table = torch.zeros(len(WORDS), max(map(len, WORDS)), dtype=torch.int64)
    for row, word in enumerate(WORDS):
        table[row, : len(word)] = torch.tensor([ALPHABET.index(letter) for letter in word])
    lengths = torch.tensor([len(word) for word in WORDS])
    letters, places = [], []
    for choice in torch.randint(len(WORDS), (count, words), generator=generator):
        kept = torch.arange(table.shape[1]) < lengths[choice][:, None]
        letters.append(table[choice][kept][:length])
        places.append(kept.cumsum(1)[kept][:length] - 1)
    return torch.stack(letters), torch.stack(places)


def least_errors() -> list[float]:
    """Mean -log p (nats) of a letter by its place in the word, for a predictor that knows the words and their
    boundaries.

    Letter k of a word has the probability of the words that share its first k + 1 letters among those that share k.
    """
    errors = []
    for place in range(max(map(len, WORDS))):
        long = [word for word in WORDS if len(word) > place]
        costs = [
            math.log(sum(word.startswith(one[:place]) for word in WORDS))
            - math.log(sum(word.startswith(one[: place + 1]) for word in WORDS))
            for one in long
        ]
        errors.append(sum(costs) / len(long))
    return errors


def one_hot(letters: Tensor) -> Tensor:
    """Letters int64 [B, T] -> [B, T, letters of the alphabet]."""
    return F.one_hot(letters, len(ALPHABET)).float()


def learn_text(*, hidden: int, steps: int, batch: int, words: int, generator: torch.Generator) -> SimpleRecurrent:
    """A simple recurrent network trained to predict each next letter of new runs of words."""
    network = SimpleRecurrent(len(ALPHABET), hidden, len(ALPHABET))

    def loss(step: int) -> Tensor:
        letters, _ = text(batch, words, generator)
        logits, _ = network(one_hot(letters[:, :-1]))
        return F.cross_entropy(logits.flatten(0, 1), letters[:, 1:].flatten())

    minimise(network, loss, steps=steps, config=_OPTIMIZER)
    return network


@torch.no_grad()
def letter_errors(network: SimpleRecurrent, letters: Tensor) -> Tensor:
    """-log p (nats) of letters int64 [B, T] given those before them, from the second on: [B, T - 1]."""
    with evaluating(network):
        logits, _ = network(one_hot(letters[:, :-1]))
    return F.cross_entropy(logits.transpose(1, 2), letters[:, 1:], reduction="none")


def errors_by_place(errors: Tensor, places: Tensor) -> list[float]:
    """Mean of errors [B, T - 1] by the place in the word, places int64 [B, T]."""
    at = places[:, 1:]
    return [float(errors[at == place].mean()) for place in range(int(at.max()) + 1)]
