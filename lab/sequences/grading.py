"""How well a network answers: metrics of a test, tables of what was right and wrong."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.plots.media import Cell, Table
from lab.sequences.examples import Examples
from lab.sequences.network import Decoding, Network, Tagger, loss_sum
from lab.sequences.vocabulary import PAD, Symbols

_BATCH = 256
_STEPS = 256  # of a text at a time, whose state is carried on
_SHOWN = 8  # rows of each sort in the table of examples
_NEAR = 0.5


class Grade(NamedTuple):
    """Metrics by name; the answers, tokens [N, T] or numbers [N], and which of them are right, bool [N].

    A language model has no answers: none, and none right.
    """

    metrics: dict[str, float]
    answers: Tensor
    right: Tensor


@torch.no_grad()
def grade(network: Network, test: Examples, device: torch.device, how: Decoding) -> Grade:
    """Ask a network, in eval mode from here on, for all of a test."""
    network.eval()
    totals, weights, symbols_right, answers, right = [], [], [], [], []
    for batch in _batches(test, device):
        outputs = network(batch.inputs, batch.lengths, batch.targets)
        loss = loss_sum(outputs, batch.targets)
        totals.append(loss.total)
        weights.append(torch.as_tensor(loss.weight))
        if not batch.targets.is_floating_point():
            symbols_right.append(((outputs.argmax(-1) == batch.targets) & (batch.targets != PAD)).sum())
        found = network.answer(batch.inputs, batch.lengths, how).values[:, 0]
        answers.append(found.cpu())
        right.append(_is_right(found, batch.targets).cpu())
    total, weight = float(torch.stack(totals).sum()), float(torch.stack(weights).sum())
    all_right = torch.cat(right)
    return Grade(_metrics(total / weight, symbols_right, weight, all_right), _joined(answers), all_right)


@torch.no_grad()
def grade_text(network: Tagger, test: Examples, device: torch.device) -> dict[str, float]:
    """Metrics of a language model: what the symbols of a test text cost it, each row read from its start to its end."""
    network.eval()
    state, total, right = None, torch.zeros((), device=device), torch.zeros((), device=device)
    for inputs, targets in zip(*(tokens.to(device).split(_STEPS, dim=1) for tokens in test[::2]), strict=True):
        logits, state = network.going_on(inputs, state)
        total = total + loss_sum(logits, targets).total
        right = right + (logits.argmax(-1) == targets).sum()
    loss, accuracy = float(total) / test.targets.numel(), float(right) / test.targets.numel()
    return _of_symbols(loss, accuracy) | {"eval/bits_per_symbol": loss / math.log(2.0)}


def examples_table(grade: Grade, test: Examples, inputs: Symbols, targets: Symbols | None) -> Table:
    """Wrong answers first, then right ones, beside what was asked and what is true."""
    wrong, right = (~grade.right).nonzero()[:, 0].tolist(), grade.right.nonzero()[:, 0].tolist()
    rows: list[list[Cell]] = []
    for number in [*wrong[:_SHOWN], *right[:_SHOWN]]:
        asked = inputs.decode(test.inputs[number].tolist())
        true, answered = (shown(values[number], targets) for values in (test.targets, grade.answers))
        rows.append([asked, true, answered, bool(grade.right[number])])
    return Table("examples", ["input", "true", "answer", "right"], rows)


def lengths_table(grade: Grade, test: Examples) -> Table:
    """Share of right answers by the length of the input."""
    lengths, places = test.lengths.unique(return_inverse=True)
    counts = torch.bincount(places)
    rights = torch.bincount(places, weights=grade.right.double())
    rows = zip(lengths.tolist(), counts.tolist(), (rights / counts).tolist(), strict=True)
    return Table("by_length", ["symbols", "examples", "right"], [list(row) for row in rows])


def shown(answer: Tensor, targets: Symbols | None) -> str:
    """One answer, tokens [T] or a number [], as text."""
    return f"{float(answer):.4g}" if targets is None else targets.decode(answer.tolist())


def _batches(test: Examples, device: torch.device) -> Iterator[Examples]:
    for start in range(0, len(test.inputs), _BATCH):
        yield test.part(slice(start, start + _BATCH)).trimmed().to(device)


def _is_right(answers: Tensor, targets: Tensor) -> Tensor:
    if targets.is_floating_point():
        return (answers - targets).abs() < _NEAR
    width = max(answers.shape[1], targets.shape[1])
    return (_to_width(answers, width) == _to_width(targets, width)).all(1)


def _to_width(tokens: Tensor, width: int) -> Tensor:
    return F.pad(tokens, (0, width - tokens.shape[1]), value=PAD)


def _joined(answers: list[Tensor]) -> Tensor:
    if answers[0].dim() == 1:
        return torch.cat(answers)
    width = max(part.shape[1] for part in answers)
    return torch.cat([_to_width(part, width) for part in answers])


def _metrics(loss: float, symbols_right: list[Tensor], symbols: float, right: Tensor) -> dict[str, float]:
    share = float(right.double().mean())
    if not symbols_right:
        return {"eval/rmse": math.sqrt(loss), "eval/nearest": share}
    return {"eval/exact_match": share} | _of_symbols(loss, float(torch.stack(symbols_right).sum()) / symbols)


def _of_symbols(loss: float, accuracy: float) -> dict[str, float]:
    return {"eval/loss": loss, "eval/perplexity": math.exp(min(loss, 700.0)), "eval/symbol_accuracy": accuracy}
