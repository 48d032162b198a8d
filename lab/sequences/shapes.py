"""The table of sequence shapes: input, answer and network of each. A new shape is one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.sequences.network import (
    DataSizes,
    EncoderDecoder,
    Network,
    OneToManyNetwork,
    SequenceClassifier,
    TokenClassifier,
)

if TYPE_CHECKING:
    from lab.sequences.config import NetworkConfig

Answer = Literal["label", "number", "tags", "sequence", "text"]
"""A label or a number for the whole input, a tag for each token, a sequence of any length, or more text."""

ShapeName = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many", "encoder_decoder", "language_model"]


@dataclass(frozen=True)
class SequenceShape:
    """Properties of a shape.

    answers: types of targets. fixed_length: all inputs have one length and are read in one step. attends: it has an
    encoder and attention.
    """

    build: Callable[["NetworkConfig", DataSizes], Network]
    answers: tuple[Answer, ...]
    fixed_length: bool = False
    attends: bool = False

    @property
    def writes(self) -> bool:
        """Whether it generates sequences, so that teacher forcing and beam search apply."""
        return "sequence" in self.answers

    @property
    def labels(self) -> bool:
        """Whether its targets are labels or numbers of whole inputs."""
        return "label" in self.answers

    @property
    def is_language_model(self) -> bool:
        return "text" in self.answers


SHAPES: Mapping[str, SequenceShape] = {
    "one_to_one": SequenceShape(SequenceClassifier, ("label", "number"), fixed_length=True),
    "one_to_many": SequenceShape(OneToManyNetwork, ("sequence",), fixed_length=True),
    "many_to_one": SequenceShape(SequenceClassifier, ("label", "number")),
    "many_to_many": SequenceShape(TokenClassifier, ("tags",)),
    "encoder_decoder": SequenceShape(EncoderDecoder, ("sequence",), attends=True),
    "language_model": SequenceShape(TokenClassifier, ("text",)),
}


def build_network(config: "NetworkConfig", sizes: DataSizes) -> Network:
    """A new network of the configured shape for vocabularies of these sizes."""
    return config.kind.build(config, sizes)
