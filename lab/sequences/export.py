"""A sequence network outside this lab: ONNX for any batch and any length, checked against the network it came from."""

import copy
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from lab.files.durable import replacing
from lab.nets import export as exporting
from lab.nets.rnn import length_mask, masked
from lab.nets.seq2seq import generate
from lab.sequences.config import ONE_STEP, WRITERS
from lab.sequences.model import Model
from lab.sequences.network import Labeller, Network, Tagger, Translator, Writer
from lab.sequences.vocabulary import END, PAD


class _Answering(nn.Module):
    """inputs int64 [B, S] and lengths [B] -> logits or numbers, one way per shape."""

    def __init__(self, network: Labeller | Tagger) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        return self.network(inputs, lengths)


class _Writing(nn.Module):
    """inputs int64 [B, S] and lengths [B] -> the greedy answer's tokens int64 [B, steps], `END` among them."""

    def __init__(self, network: Writer | Translator, steps: int) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        network, memory = self.network, None
        if isinstance(network, Translator):
            state, memory = network.body.encode(inputs, lengths)
        else:
            state = network.body.first_state(network.embedding(inputs))
        return generate(network.body.decoder, PAD, self.steps, state, memory, never=(PAD,))


def exportable(network: Network, steps: int) -> nn.Module:
    """What is exported: padding masked, as packed sequences are in no graph; sequences written in so many steps."""
    network = copy.deepcopy(network).cpu().eval()
    module: nn.Module
    module = _Writing(network, steps) if isinstance(network, Writer | Translator) else _Answering(network)
    return masked(module).eval()


def export(model: Model, path: Path) -> float:
    """Write `path`, an .onnx file, and its symbols beside it as .json; returns the largest difference to the network.

    The check is on inputs of another number and other lengths than those of the export: their logits, or for a
    sequence that is written its tokens, of which none may differ. Raises UserError as `lab.nets.export.export_traced`.
    """
    free = {0: "batch"} if model.shape in ONE_STEP else {0: "batch", 1: "symbols"}
    with replacing(path.with_suffix(".json")) as about:
        about.write_text(json.dumps(_about(model), indent=1))
        # Within, so that no new network stays beside old symbols.
        return exporting.export_traced(
            exportable(model.network, model.longest[1]),
            _some(model, 2, 0),
            _some(model, 5, 1),
            path,
            {"inputs": free, "lengths": {0: "batch"}},
        )


def _some(model: Model, count: int, seed: int) -> dict[str, Tensor]:
    """Random inputs of different lengths, one of them the longest."""
    generator = torch.Generator().manual_seed(seed)
    longest = model.longest[0] if model.shape in ONE_STEP else max(2, model.longest[0] - seed)
    tokens = torch.randint(END + 1, len(model.inputs), (count, longest), generator=generator)
    if model.shape in ONE_STEP:
        return {"inputs": tokens, "lengths": torch.full((count,), longest)}
    lengths = torch.cat([torch.tensor([longest]), torch.randint(1, longest + 1, (count - 1,), generator=generator)])
    return {"inputs": torch.where(length_mask(lengths, longest), tokens, PAD), "lengths": lengths}


def _about(model: Model) -> dict[str, object]:
    """What a program needs to use the file: token t is symbol t - 2, 0 is padding and 1 the end."""
    what = "tokens" if model.shape in WRITERS else "numbers" if model.targets is None else "logits"
    return {
        "shape": model.shape,
        "padding": PAD,
        "end": END,
        "first_symbol": END + 1,
        "inputs": {"symbols": model.inputs.names, "words": model.inputs.words},
        "answers": what,
        "targets": None if model.targets is None else {"symbols": model.targets.names, "words": model.targets.words},
        "longest_input": model.longest[0],
    }
