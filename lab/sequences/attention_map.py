"""The attention weights of a decoder, drawn as one map for each example."""

import torch
from torch import Tensor

from lab.nets.seq2seq import shift_right
from lab.plots.figures import Matrix, matrices
from lab.plots.media import Image
from lab.sequences.batch import SequenceBatch
from lab.sequences.network import EncoderDecoder
from lab.sequences.vocabulary import END, PAD, Vocabulary

_MOST, _LONGEST = 40, 12  # limits of the drawn tokens of a sequence and characters of a token


@torch.no_grad()
def attention_map(
    network: EncoderDecoder, examples: SequenceBatch, answers: Tensor, inputs: Vocabulary, targets: Vocabulary
) -> Image:
    """One map for each example, side by side: rows are tokens of its answer [N, T], columns tokens of its input.

    Long sequences are cut after `_MOST` tokens.
    """
    network.eval()
    device = next(network.parameters()).device
    source, lengths, answers = examples.inputs.to(device), examples.lengths.to(device), answers.to(device)
    body = network.body
    weights = (
        body.decoder.attention_weights(shift_right(PAD, answers), *body.encode(source, lengths)).mean(1).float().cpu()
    )
    maps = []
    for row in range(len(source)):
        columns = [_name(token, inputs) for token in source[row, : int(lengths[row])].tolist()][:_MOST]
        rows = [_name(token, targets) for token in answers[row].tolist() if token != PAD][:_MOST]
        values = weights[row, : len(rows), : len(columns)].numpy()
        maps.append(Matrix(values, rows, columns, "", "output", "input"))
    return Image("attention", matrices(maps), "attention weights of each output token; wrong answers first")


def _name(token: int, vocabulary: Vocabulary) -> str:
    if token == END:
        return "end"
    name = vocabulary.decode([token])
    return "_" if name == " " else (name if name.isprintable() else repr(name)[1:-1])[:_LONGEST]
