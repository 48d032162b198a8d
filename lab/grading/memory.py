"""Memory of a grading run: its essays, the linear part, the network and a training step."""

import os

import numpy as np
import torch
from torch import Tensor

from lab.grading.config import GradingConfig
from lab.grading.data import GradingData
from lab.grading.encoding import MOST_SOLVED
from lab.grading.grader import GraderNetwork
from lab.grading.network import EssayBatch
from lab.grading.ngrams import FAMILIES
from lab.grading.surface import NAMES
from lab.nets.rnn import set_padding_masked
from lab.run.memory_needs import Need, activations, weights
from lab.train.device import Device

_GENERATED = 2000  # bytes of a generated essay
_PER_BYTE = 60  # the text, its tokens and ids, and about ten n-grams of a value and a bin each
_SMALLEST = 200  # bytes of an essay: no more essays are in a file than these allow
_COPIES = 4  # of the matrix of inner products: itself, its vectors, their squares, and what solving needs


def data_needs(config: GradingConfig) -> list[Need]:
    """Memory of the essays and of the linear part, before they are read."""
    size, count = config.data.size * _GENERATED, config.data.size
    if config.data.source is not None:
        path = os.path.expanduser(config.data.source)
        size = os.path.getsize(path) if os.path.isfile(path) else 0
        count = size // _SMALLEST
    found = [Need("the essays", size * _PER_BYTE, "the number of essays in data.source", on_device=False)]
    if config.network.linear:
        solved = min(count, MOST_SOLVED)
        needed = solved**2 * 8 * _COPIES + (len(FAMILIES) << config.network.ngram_bits) * 8 * 12
        found.append(Need("the linear part", needed, "network.ngram_bits or network.linear", on_device=False))
    return found


def training_needs(config: GradingConfig, data: GradingData, device: Device) -> list[Need]:
    """Memory of the network and of a step on essays of the usual length."""
    training = config.training
    rows = training.rows_at_once(training.batch_size)
    shapes = np.array([tokens.shape for tokens in data.encoded.tokens])
    sentences = int(np.quantile(shapes[:, 0], 0.9))
    words = int(np.ceil(np.mean([(tokens > 0).sum() / len(tokens) for tokens in data.encoded.tokens])))
    scores = data.scores.shape[1]
    network = GraderNetwork(config, data.encoder, data.grades).to("meta")
    set_padding_masked(network, True)  # packing needs values
    with torch.device("meta"):
        batch = EssayBatch(
            torch.zeros(rows, sentences, words, dtype=torch.int64),
            torch.ones(rows, sentences, dtype=torch.int64),
            torch.zeros(rows, sentences),
            torch.zeros(rows, len(NAMES)),
            torch.zeros(rows, scores),
            torch.zeros(rows, scores),
            torch.zeros(rows),
        )

        def forward() -> Tensor:
            return torch.as_tensor(network.loss(batch).total)

        step = activations(network, forward, device, reduce_with="training.micro_batch or training.batch_size")
    return [weights(network, training, reduce_with="network.hidden or network.vocabulary"), step]
