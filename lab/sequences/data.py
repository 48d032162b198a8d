"""The data of an experiment, from what its configuration says."""

import torch

from lab.errors import UserError
from lab.sequences.config import SequencesConfig
from lab.sequences.examples import Data
from lab.sequences.files import Filed
from lab.sequences.generated import generated
from lab.sequences.network import Width
from lab.sequences.text import Text
from lab.sequences.vocabulary import Symbols


def open_data(config: SequencesConfig, device: torch.device) -> Data:
    """Examples that are generated or of a file, with symbols and a test. Raises UserError."""
    data, shape = config.data, config.network.shape
    if shape == "language_model":
        return Text(data, config.seed, device)
    if data.task is not None:
        return generated(data.task, data.size, config.seed, device, held_out=data.modulus)
    return Filed(data, shape, config.seed)


def check_same_data(config: SequencesConfig, data: Data, fingerprint: str) -> None:
    """Raise UserError unless these are the data, by its fingerprint, that a run was trained on."""
    if data.fingerprint != fingerprint:
        files = [name for name in (config.data.source, config.data.test_source) if name is not None]
        origin = " or ".join(files) or config.data.task or "the generated text"
        raise UserError(f"{origin} is not the data this run was trained on: put the old data back")


def width_of(inputs: Symbols, targets: Symbols | None, longest: tuple[int, int]) -> Width:
    """What a network for such data must tell apart."""
    return Width(len(inputs), 0 if targets is None else len(targets), longest[0])
