"""A trained network with its vocabularies, which needs no data set."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lab.errors import UserError
from lab.nets.rnn import set_padding_masked
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.sequences.config import SequencesConfig
from lab.sequences.data import sizes_of
from lab.sequences.files import encode_input
from lab.sequences.network import Answers, Decoding, Network, TokenClassifier
from lab.sequences.number_scale import UNSCALED, NumberScale
from lab.sequences.shapes import SequenceShape, build_network
from lab.sequences.vocabulary import END, Vocabulary, pad_rows
from lab.train.device import Device

_BATCH = 256


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode.

    longest: tokens of the longest input and target. examples: trained examples. fingerprint: of the data. scale: of
    targets that are numbers.
    """

    config: SequencesConfig
    network: Network
    inputs: Vocabulary
    targets: Vocabulary | None
    longest: tuple[int, int]
    examples: int
    fingerprint: str
    device: torch.device
    scale: NumberScale = UNSCALED

    @property
    def shape(self) -> SequenceShape:
        return self.config.network.kind

    def tokens(self, text: str, what: str = "the input") -> list[int]:
        """An input as tokens. Raises UserError for an empty input, an unknown token, or a wrong length."""
        found = encode_input(text, self.inputs, self.longest[0] if self.shape.fixed_length else None, what)
        return [*found, END] if self.config.data.intents else found

    def decoding(self, beam: int | None = None, steps: int | None = None) -> Decoding:
        """Decoding as in the run's evaluation, unless another beam or length is given."""
        own = self.config.evaluate
        return Decoding(steps or self.longest[1], beam or own.beam, own.length_penalty)

    @torch.no_grad()
    def answer(self, rows: list[list[int]], decoding: Decoding) -> list[Answers]:
        """Answers to inputs of token ids, on the CPU, one entry per batch."""
        found = []
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            lengths = torch.tensor([len(row) for row in part])
            answers = self.network.answer(pad_rows(part).to(self.device), lengths.to(self.device), decoding)
            values = self.scale.restore(answers.values) if self.targets is None else answers.values.cpu()
            found.append(Answers(values, None if answers.scores is None else answers.scores.cpu()))
        return found


def load_model(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Model:
    """The network of a run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    found = load_run(run, SequencesConfig, checkpoint)
    config = found.config
    with found.restoring() as state:
        data, names = config.data, state["targets"]
        inputs = Vocabulary(tuple(state["inputs"]), data.input_words, data.unknown > 0.0)
        targets = None if names is None else Vocabulary(tuple(names), data.target_words or config.network.kind.labels)
        longest = (int(state["longest"][0]), int(state["longest"][1]))
        network = build_network(config.network, sizes_of(inputs, targets, longest))
        network.load_state_dict(state["network"])
        scale = NumberScale(*(float(value) for value in state["scale"]))
        examples, fingerprint = int(state["examples"]), str(state["data"])
    set_padding_masked(network, device.device.type != "cpu")
    network.to(device.device).eval()
    return Model(config, network, inputs, targets, longest, examples, fingerprint, device.device, scale)


def language_model(model: Model, run: str) -> TokenClassifier:
    """The network of a language model. Raises UserError for any other."""
    if not model.shape.is_language_model or not isinstance(model.network, TokenClassifier):
        shape = model.config.network.shape
        raise UserError(f"{run} is not a language model but {shape}: use `lab predict {run} INPUT`")
    return model.network
