"""Evaluation of a network on test examples: metrics, and tables of right and wrong answers."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.plots.media import Cell, Table
from lab.sequences.batch import SequenceBatch
from lab.sequences.network import Decoding, Network, Tagger, loss_sum
from lab.sequences.vocabulary import PAD, Vocabulary

_BATCH = 256
_STEPS = 256  # of a text at a time, whose state is carried on
_SHOWN = 8  # right and wrong rows each in the table of examples
_TOLERANCE = 0.5  # of a number


class SetEvaluation(NamedTuple):
    """Metrics by name, the answers, ids [N, T] or numbers [N], and which of them are right, bool [N]."""

    metrics: dict[str, float]
    answers: Tensor
    right: Tensor


@torch.no_grad()
def evaluate_set(network: Network, test: SequenceBatch, device: torch.device, decoding: Decoding) -> SetEvaluation:
    """Evaluate a network, which is put in evaluation mode, on all test examples."""
    network.eval()
    totals, weights, tokens_right, answers, right = [], [], [], [], []
    for batch in _batches(test, device):
        outputs = network(batch.inputs, batch.lengths, batch.targets)
        loss = loss_sum(outputs, batch.targets)
        totals.append(loss.total)
        weights.append(torch.as_tensor(loss.weight))
        if not batch.targets.is_floating_point():
            tokens_right.append(((outputs.argmax(-1) == batch.targets) & (batch.targets != PAD)).sum())
        found = network.answer(batch.inputs, batch.lengths, decoding).values[:, 0]
        answers.append(found.cpu())
        right.append(_is_right(found, batch.targets).cpu())
    total, weight = float(torch.stack(totals).sum()), float(torch.stack(weights).sum())
    all_right = torch.cat(right)
    return SetEvaluation(_metrics(total / weight, tokens_right, weight, all_right), _joined(answers), all_right)


@torch.no_grad()
def evaluate_text(network: Tagger, test: SequenceBatch, device: torch.device) -> dict[str, float]:
    """Metrics of a language model; every row of the test text is read from its start to its end."""
    network.eval()
    state, total, right = None, torch.zeros((), device=device), torch.zeros((), device=device)
    for inputs, targets in zip(*(tokens.to(device).split(_STEPS, dim=1) for tokens in test[::2]), strict=True):
        logits, state = network.forward_with_state(inputs, state)
        total = total + loss_sum(logits, targets).total
        right = right + (logits.argmax(-1) == targets).sum()
    loss, accuracy = float(total) / test.targets.numel(), float(right) / test.targets.numel()
    return _of_tokens(loss, accuracy) | {"eval/bits_per_token": loss / math.log(2.0)}


def examples_table(found: SetEvaluation, test: SequenceBatch, inputs: Vocabulary, targets: Vocabulary | None) -> Table:
    """Wrong answers first, then right ones, with inputs and targets."""
    wrong, right = (~found.right).nonzero()[:, 0].tolist(), found.right.nonzero()[:, 0].tolist()
    rows: list[list[Cell]] = []
    for number in [*wrong[:_SHOWN], *right[:_SHOWN]]:
        given = inputs.decode(test.inputs[number].tolist())
        true, answered = (answer_text(values[number], targets) for values in (test.targets, found.answers))
        rows.append([given, true, answered, bool(found.right[number])])
    return Table("examples", ["input", "target", "answer", "right"], rows)


def lengths_table(found: SetEvaluation, test: SequenceBatch) -> Table:
    """Accuracy by the length of the input."""
    lengths, places = test.lengths.unique(return_inverse=True)
    counts = torch.bincount(places)
    rights = torch.bincount(places, weights=found.right.double())
    rows = zip(lengths.tolist(), counts.tolist(), (rights / counts).tolist(), strict=True)
    return Table("by_length", ["tokens", "examples", "right"], [list(row) for row in rows])


def answer_text(answer: Tensor, targets: Vocabulary | None) -> str:
    """One answer, ids [T] or a number [], as text."""
    return f"{float(answer):.4g}" if targets is None else targets.decode(answer.tolist())


def _batches(test: SequenceBatch, device: torch.device) -> Iterator[SequenceBatch]:
    for start in range(0, len(test.inputs), _BATCH):
        yield test.part(slice(start, start + _BATCH)).trimmed().to(device)


def _is_right(answers: Tensor, targets: Tensor) -> Tensor:
    if targets.is_floating_point():
        return (answers - targets).abs() < _TOLERANCE
    width = max(answers.shape[1], targets.shape[1])
    return (_to_width(answers, width) == _to_width(targets, width)).all(1)


def _to_width(tokens: Tensor, width: int) -> Tensor:
    return F.pad(tokens, (0, width - tokens.shape[1]), value=PAD)


def _joined(answers: list[Tensor]) -> Tensor:
    if answers[0].dim() == 1:
        return torch.cat(answers)
    width = max(part.shape[1] for part in answers)
    return torch.cat([_to_width(part, width) for part in answers])


def _metrics(loss: float, tokens_right: list[Tensor], tokens: float, right: Tensor) -> dict[str, float]:
    share = float(right.double().mean())
    if not tokens_right:
        return {"eval/rmse": math.sqrt(loss), "eval/rounded_accuracy": share}
    return {"eval/exact_match": share} | _of_tokens(loss, float(torch.stack(tokens_right).sum()) / tokens)


def _of_tokens(loss: float, accuracy: float) -> dict[str, float]:
    return {"eval/loss": loss, "eval/perplexity": math.exp(min(loss, 700.0)), "eval/token_accuracy": accuracy}
