"""Export of a sequence network to ONNX for any batch size and length, checked against the network."""

import copy
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from lab.files.durable import replacing
from lab.nets import export as exporting
from lab.nets.rnn import length_mask, with_masked_padding
from lab.nets.seq2seq import generate
from lab.sequences.model import Model
from lab.sequences.network import EncoderDecoder, Network, OneToManyNetwork
from lab.sequences.number_scale import UNSCALED, NumberScale
from lab.sequences.vocabulary import END, FIRST, PAD


class _GreedyDecoding(nn.Module):
    """inputs int64 [B, S] and lengths [B] -> tokens of the greedy answer int64 [B, steps], including `END`."""

    def __init__(self, network: OneToManyNetwork | EncoderDecoder, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        network, memory = self.network, None
        if isinstance(network, EncoderDecoder):
            state, memory = network.body.encode(inputs, lengths)
        else:
            state = network.body.first_state(network.embedding(inputs))
        return generate(network.body.decoder, PAD, self.steps, state, memory, forbidden=(PAD,))


class _Restored(nn.Module):
    """A network of standardized numbers that answers numbers of the file, float64 [B]."""

    def __init__(self, network: nn.Module, scale: NumberScale) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return self.network(inputs, lengths).double() * self.scale.deviation + self.scale.mean


def exportable(network: Network, steps: int, scale: NumberScale = UNSCALED) -> nn.Module:
    """The module to export: padding is masked, as graphs have no packed sequences; answers have `steps` tokens."""
    network = copy.deepcopy(network).cpu().eval()
    if scale != UNSCALED:
        return with_masked_padding(_Restored(network, scale)).eval()
    if isinstance(network, OneToManyNetwork | EncoderDecoder):
        return with_masked_padding(_GreedyDecoding(network, steps)).eval()
    return with_masked_padding(network)


def export(model: Model, path: Path) -> float:
    """Write an .onnx file and its vocabularies as .json; return the largest difference to the network.

    The check uses another batch size and other lengths than the export, and compares logits or, for generated
    sequences, tokens, which must be equal. Raises UserError as `lab.nets.export.export_traced`.
    """
    free = {0: "batch"} if model.shape.fixed_length else {0: "batch", 1: "tokens"}
    with replacing(path.with_suffix(".json")) as description:
        description.write_text(json.dumps(_description(model), indent=1), encoding="utf-8")
        # Inside `replacing`, so that a new network is never left with an old vocabulary.
        return exporting.export_traced(
            exportable(model.network, model.longest[1], model.scale),
            _random_inputs(model, 2, 0),
            _random_inputs(model, 5, 1),
            path,
            {"inputs": free, "lengths": {0: "batch"}, "answers": {0: "batch"}},
            outputs=("answers",),
            metadata=_description(model),
        )


def _random_inputs(model: Model, count: int, seed: int) -> dict[str, Tensor]:
    """Random inputs of different lengths, one of them the longest."""
    generator = torch.Generator().manual_seed(seed)
    longest = model.longest[0] if model.shape.fixed_length else max(2, model.longest[0] - seed)
    tokens = torch.randint(END + 1, len(model.inputs), (count, longest), generator=generator)
    if model.shape.fixed_length:
        return {"inputs": tokens, "lengths": torch.full((count,), longest)}
    lengths = torch.cat([torch.tensor([longest]), torch.randint(1, longest + 1, (count - 1,), generator=generator)])
    return {"inputs": torch.where(length_mask(lengths, longest), tokens, PAD), "lengths": lengths}


def _description(model: Model) -> dict[str, object]:
    """Description of inputs and outputs for programs: id t is token t - 2, 0 is padding and 1 the end."""
    what = "tokens" if model.shape.writes else "numbers" if model.targets is None else "logits"
    return {
        "shape": model.config.network.shape,
        "intents": model.config.data.intents,  # then the end follows the last word, and its tag is the intent
        "padding": PAD,
        "end": END,
        "first_token": FIRST,
        "inputs": {"tokens": model.inputs.tokens, "words": model.inputs.words},
        "answers": what,
        "targets": None if model.targets is None else {"tokens": model.targets.tokens, "words": model.targets.words},
        "longest_input": model.longest[0],
    }
