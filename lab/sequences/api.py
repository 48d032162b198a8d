"""What `lab.api.Run` offers for a sequences run."""

from pathlib import Path
from typing import Any

import torch

from lab.errors import UserError
from lab.sequences.evaluation import answer_text
from lab.sequences.model import language_model, load_model
from lab.sequences.sampling import sample as draw
from lab.train.device import Device


def sample(
    run: Path,
    device: Device,
    *,
    count: int,
    seed: int = 0,
    chars: int = 400,
    prompt: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    checkpoint: str = "best",
) -> list[str]:
    """Texts of a language model, each `prompt` and `chars` characters."""
    model = load_model(run, device, checkpoint)
    network = language_model(model, run.name)
    begin = prompt or ("\n" if "\n" in model.inputs.tokens else model.inputs.tokens[0])
    tokens = torch.tensor(model.tokens(begin, "prompt"), device=model.device)
    written = draw(network, tokens.expand(count, -1), chars, temperature=temperature, top_k=top_k, seed=seed)
    return [prompt + model.inputs.decode(row) for row in written.tolist()]


def predict(
    run: Path,
    device: Device,
    inputs: str | list[str],
    *,
    beam: int | None = None,
    steps: int | None = None,
    checkpoint: str = "best",
) -> list[dict[str, Any]]:
    """Per input {"input", "answer"}, and with a beam "alternatives": answers and log-probabilities, best first."""
    model = load_model(run, device, checkpoint)
    if model.shape.is_language_model:
        raise UserError(f"{run.name} is a language model: use sample(prompt=...)")
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    rows = [model.tokens(text, f"input {number}") for number, text in enumerate(texts)]
    values: list[torch.Tensor] = []
    scores: list[list[float] | None] = []
    for answers in model.answer(rows, model.decoding(beam, steps)):
        values += list(answers.values)
        scores += [None] * len(answers.values) if answers.scores is None else answers.scores.tolist()
    return [
        {"input": text, "answer": answer_text(found[0], model.targets)}
        | ({} if score is None or len(score) < 2 else {"alternatives": _ranked(found, score, model.targets)})
        for text, found, score in zip(texts, values, scores, strict=True)
    ]


def _ranked(values: torch.Tensor, scores: list[float], vocabulary: Any) -> list[dict[str, Any]]:
    return [
        {"answer": answer_text(value, vocabulary), "log_probability": score}
        for value, score in zip(values, scores, strict=True)
        if score != float("-inf")
    ]
