"""The data of an experiment, from its configuration."""

import torch

from lab.errors import UserError
from lab.sequences.batch import SequenceData
from lab.sequences.config import SequencesConfig
from lab.sequences.files import FileData
from lab.sequences.generated import generate_data
from lab.sequences.network import DataSizes
from lab.sequences.text import TextData
from lab.sequences.vocabulary import Vocabulary


def open_data(config: SequencesConfig, device: torch.device) -> SequenceData:
    """Training and test examples with their vocabularies. Raises UserError."""
    data = config.data
    if config.network.kind.is_language_model:
        return TextData(data, config.seed, device)
    if data.task is not None:
        return generate_data(data.task, data.size, config.seed, device, held_out=data.modulus)
    return FileData(data, config.network.shape, config.seed)


def check_same_data(config: SequencesConfig, data: SequenceData, fingerprint: str) -> None:
    """Raise UserError unless the fingerprint is that of the data of the run."""
    if data.fingerprint != fingerprint:
        files = [name for name in (config.data.source, config.data.test_source) if name is not None]
        origin = " or ".join(files) or config.data.task or "the generated text"
        raise UserError(f"{origin} is not the data this run was trained on: put the old data back")


def sizes_of(inputs: Vocabulary, targets: Vocabulary | None, longest: tuple[int, int]) -> DataSizes:
    """The sizes that a network needs of its data."""
    return DataSizes(len(inputs), 0 if targets is None else len(targets), longest[0])
