"""Evaluation of a network on test examples: metrics, and tables of right and wrong answers."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.plots.media import Cell, Table
from lab.sequences.batch import SequenceBatch
from lab.sequences.network import Answers, Decoding, Network, TokenClassifier, loss_sum
from lab.sequences.number_scale import UNSCALED, NumberScale
from lab.sequences.slots import frame_metrics
from lab.sequences.vocabulary import PAD, Vocabulary

_BATCH = 256
_STEPS = 256  # tokens of a text per forward pass; the state is carried over
_SHOWN = 8  # right rows, and wrong rows, in the table of examples
_TOLERANCE = 0.5  # error below which a number is right


class SetEvaluation(NamedTuple):
    """Metrics by name; answers, ids [N, T] or numbers float64 [N]; right, bool [N]; the scale of numbers."""

    metrics: dict[str, float]
    answers: Tensor
    right: Tensor
    scale: NumberScale


@torch.no_grad()
def evaluate_set(
    network: Network,
    test: SequenceBatch,
    device: torch.device,
    decoding: Decoding,
    scale: NumberScale = UNSCALED,
) -> SetEvaluation:
    """Put a network in evaluation mode and evaluate it on all test examples; `scale`: of the targets."""
    network.eval()
    numbers = test.targets.is_floating_point()
    totals, weights, tokens_right, answers, right = [], [], [], [], []
    for example in _batches(test):
        targets = scale.standardize(example.targets) if numbers else example.targets
        batch = example._replace(targets=targets).to(device)
        outputs = network(batch.inputs, batch.lengths, batch.targets)
        loss = loss_sum(outputs, batch.targets)
        totals.append(loss.total)
        weights.append(torch.as_tensor(loss.weight))
        if not numbers:
            tokens_right.append(((outputs.argmax(-1) == batch.targets) & (batch.targets != PAD)).sum())
        found = network.answer(batch.inputs, batch.lengths, decoding).values[:, 0]
        found = scale.restore(found) if numbers else found.cpu()
        answers.append(found)
        right.append(_is_right(found, example.targets))
    total, weight = float(torch.stack(totals).sum()), float(torch.stack(weights).sum())
    all_right = torch.cat(right)
    mean = total / weight * scale.deviation**2  # in the units of the file
    return SetEvaluation(_metrics(mean, tokens_right, weight, all_right), _joined(answers), all_right, scale)


@torch.no_grad()
def evaluate_text(network: TokenClassifier, test: SequenceBatch, device: torch.device) -> dict[str, float]:
    """Metrics of a language model; each row of the test text is read from start to end."""
    network.eval()
    state, total, right = None, torch.zeros((), device=device), torch.zeros((), device=device)
    for inputs, targets in zip(*(tokens.to(device).split(_STEPS, dim=1) for tokens in test[::2]), strict=True):
        logits, state = network.forward_with_state(inputs, state)
        total = total + loss_sum(logits, targets).total
        right = right + (logits.argmax(-1) == targets).sum()
    loss, accuracy = float(total) / test.targets.numel(), float(right) / test.targets.numel()
    return _token_metrics(loss, accuracy) | {"eval/bits_per_token": loss / math.log(2.0)}


def with_frames(found: SetEvaluation, test: SequenceBatch, targets: Vocabulary) -> SetEvaluation:
    """The evaluation with the metrics of intents and slots, in place of perplexity."""
    answered, true = (
        [targets.decode(row).split() for row in values.tolist()] for values in (found.answers, test.targets)
    )
    kept = {name: value for name, value in found.metrics.items() if name != "eval/perplexity"}
    return found._replace(metrics=kept | frame_metrics(answered, true))


def examples_table(found: SetEvaluation, test: SequenceBatch, inputs: Vocabulary, targets: Vocabulary | None) -> Table:
    """Wrong answers first, then right ones, with inputs and targets."""
    wrong, right = (~found.right).nonzero()[:, 0].tolist(), found.right.nonzero()[:, 0].tolist()
    rows: list[list[Cell]] = []
    for number in [*wrong[:_SHOWN], *right[:_SHOWN]]:
        given = inputs.decode(test.inputs[number].tolist())
        true, answered = (answer_text(values[number], targets, found.scale) for values in (test.targets, found.answers))
        rows.append([given, true, answered, bool(found.right[number])])
    return Table("examples", ["input", "target", "answer", "right"], rows)


def lengths_table(found: SetEvaluation, test: SequenceBatch) -> Table:
    """Accuracy by the length of the input."""
    lengths, places = test.lengths.unique(return_inverse=True)
    counts = torch.bincount(places)
    rights = torch.bincount(places, weights=found.right.double())
    rows = zip(lengths.tolist(), counts.tolist(), (rights / counts).tolist(), strict=True)
    return Table("by_length", ["tokens", "examples", "right"], [list(row) for row in rows])


def answer_text(answer: Tensor, targets: Vocabulary | None, scale: NumberScale) -> str:
    """One answer, ids [T] or a number [], as text."""
    return scale.text(float(answer)) if targets is None else targets.decode(answer.tolist())


def ranked_answers(answers: Answers, targets: Vocabulary | None, scale: NumberScale) -> list[list[dict[str, Any]]]:
    """For each input its answers as text, best first, and their log-probabilities (None without scores)."""
    scores = [[None]] * len(answers.values) if answers.scores is None else answers.scores.tolist()
    return [
        [
            {"answer": answer_text(value, targets, scale), "log_probability": score}
            for value, score in zip(values, row, strict=True)
            if score != float("-inf")
        ]
        for values, row in zip(answers.values, scores, strict=True)
    ]


def _batches(test: SequenceBatch) -> Iterator[SequenceBatch]:
    for start in range(0, len(test.inputs), _BATCH):
        yield test.part(slice(start, start + _BATCH)).trimmed()


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
    accuracy = float(right.double().mean())
    if not tokens_right:
        return {"eval/rmse": math.sqrt(loss), "eval/rounded_accuracy": accuracy}
    return {"eval/exact_match": accuracy} | _token_metrics(loss, float(torch.stack(tokens_right).sum()) / tokens)


def _token_metrics(loss: float, accuracy: float) -> dict[str, float]:
    return {"eval/loss": loss, "eval/perplexity": math.exp(min(loss, 700.0)), "eval/token_accuracy": accuracy}
