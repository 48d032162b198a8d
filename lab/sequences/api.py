"""Functions of `lab.api.Run` for a sequences run."""

import math
from pathlib import Path
from typing import Any

import torch

from lab.errors import UserError
from lab.sequences.evaluation import ranked_answers
from lab.sequences.model import language_model, load_model
from lab.sequences.sampling import sample as draw
from lab.sequences.slots import frame_record
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
    """Texts of a language model, each `prompt` and `chars` characters. Raises UserError."""
    if not math.isfinite(temperature):
        raise UserError(f"temperature {temperature}: give a finite number, 0 for the most probable character")
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
    """Per input {"input", "answer"}, and with a beam "alternatives": answers and log-probabilities, best first.

    With `data.intents` also "intent" and "slots", a list of {"slot", "text"}.
    """
    model = load_model(run, device, checkpoint)
    if model.shape.is_language_model:
        raise UserError(f"{run.name} is a language model: use sample(prompt=...)")
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    rows = [model.tokens(text, f"input {number}") for number, text in enumerate(texts)]
    decoding = model.decoding(beam, steps)
    found = [best for part in model.answer(rows, decoding) for best in ranked_answers(part, model.targets, model.scale)]
    with_alternatives = model.shape.writes and decoding.beam > 1
    return [
        {"input": text, "answer": best[0]["answer"]}
        | ({"alternatives": best} if with_alternatives else {})
        | (frame_record(text, best[0]["answer"].split()) if model.config.data.intents else {})
        for text, best in zip(texts, found, strict=True)
    ]
