"""Functions of `lab.api.Run` for a grading run."""

from pathlib import Path
from typing import Any

from lab.grading.ensemble import Ensemble
from lab.grading.explain import records
from lab.grading.grader import load_grader
from lab.grading.reading import checked
from lab.train.device import Device


def predict(run: Path, device: Device, inputs: str | list[str], *, checkpoint: str = "best") -> list[dict[str, Any]]:
    """Per essay {"score", "estimate", "interval", "traits", "words"}; inputs: texts. Raises UserError."""
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    grader = Ensemble([load_grader(run, device, checkpoint)])
    return records(grader, [checked(text, f"input {number}") for number, text in enumerate(texts)])
