"""Functions of `lab.api.Run` for a voice."""

from pathlib import Path
from typing import Any

import torch

from lab.speech.synthesis import load_voice
from lab.train.device import Device


def predict(
    run: Path, device: Device, inputs: str | list[str], *, pace: float = 1.0, checkpoint: str = "best"
) -> list[dict[str, Any]]:
    """Per text {"input", "words", "phones", "rate", "wave"}: samples float32 [T] as an array, spoken at `pace`."""
    voice = load_voice(run, device, checkpoint)
    found = []
    for text in [inputs] if isinstance(inputs, str) else inputs:
        parts = list(voice.say(text, pace=pace))
        found.append(
            {
                "input": text,
                "words": " ".join(part.words for part in parts),
                "phones": [phone for part in parts for phone in part.phones],
                "rate": voice.rate,
                "wave": torch.cat([part.wave for part in parts]).numpy(),
            }
        )
    return found
