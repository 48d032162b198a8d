"""A trained network of a run, with its symbols: all that answering takes, without the data."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lab.errors import UserError
from lab.nets.rnn import set_masked
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.sequences.config import ONE_STEP, SequencesConfig, Shape
from lab.sequences.data import width_of
from lab.sequences.files import check_symbols
from lab.sequences.network import Answers, Decoding, Network, Tagger, make_network
from lab.sequences.vocabulary import Symbols, padded
from lab.train.device import Device

_BATCH = 256


@dataclass(frozen=True)
class Model:
    """A network in eval mode after `examples`; `longest` are the symbols of its data's longest input and answer, and
    `fingerprint` is that of the data."""

    config: SequencesConfig
    network: Network
    inputs: Symbols
    targets: Symbols | None
    longest: tuple[int, int]
    examples: int
    fingerprint: str
    device: torch.device

    @property
    def shape(self) -> Shape:
        return self.config.network.shape

    def tokens(self, text: str, what: str = "the input") -> list[int]:
        """An input as tokens. Raises UserError for an empty one, an unknown symbol, or a length it does not read."""
        return check_symbols(text, self.inputs, self.longest[0] if self.shape in ONE_STEP else None, what)

    def decoding(self, beam: int | None = None, steps: int | None = None) -> Decoding:
        """As the run is graded, unless another beam or length of answers is given."""
        own = self.config.decoding
        return Decoding(steps or self.longest[1], beam or own.beam, own.length_penalty)

    @torch.no_grad()
    def answer(self, rows: list[list[int]], how: Decoding) -> list[Answers]:
        """Answers on the CPU to inputs as tokens, one batch after the other."""
        found = []
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            lengths = torch.tensor([len(row) for row in part])
            answers = self.network.answer(padded(part).to(self.device), lengths.to(self.device), how)
            found.append(Answers(*(None if value is None else value.cpu() for value in answers)))  # type: ignore[arg-type]
        return found


def load_model(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Model:
    """The network of a run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    found = load_run(run, SequencesConfig, checkpoint)
    config = found.config
    with found.restoring() as state:
        data, names = config.data, state["targets"]
        inputs = Symbols(tuple(state["inputs"]), data.input_words)
        labels = config.network.shape in ("one_to_one", "many_to_one")
        targets = None if names is None else Symbols(tuple(names), data.target_words or labels)
        longest = (int(state["longest"][0]), int(state["longest"][1]))
        network = make_network(config.network, width_of(inputs, targets, longest))
        network.load_state_dict(state["network"])
        examples, fingerprint = int(state["examples"]), str(state["data"])
    set_masked(network, device.device.type != "cpu")
    network.to(device.device).eval()
    return Model(config, network, inputs, targets, longest, examples, fingerprint, device.device)


def language_model(model: Model, run: str) -> Tagger:
    """The network of a language model. Raises UserError for any other."""
    if model.shape != "language_model" or not isinstance(model.network, Tagger):
        raise UserError(f"{run} is no language model but {model.shape}: ask it with `lab predict {run} INPUT`")
    return model.network
