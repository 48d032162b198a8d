"""A sequence network outside this lab: ONNX for any batch and any length, checked against the network it came from."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lab.disk import replacing
from lab.errors import UserError
from lab.nets.rnn import masked
from lab.nets.seq2seq import generate
from lab.sequences.config import WRITERS
from lab.sequences.model import Model
from lab.sequences.network import Labeller, Network, Tagger, Translator, Writer
from lab.sequences.symbols import END, PAD

TOLERANCE = 1e-4


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
    sequence that is written its tokens, of which none may differ. Raises UserError, leaving what was there, for another
    suffix, a missing library or a difference above `TOLERANCE`.
    """
    check_suffix(path)
    try:
        import onnx  # noqa: F401  torch asks for it late, with a longer message
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX needs {error.name}: pip install 'rivals-lab[export]'") from None
    module = exportable(model.network, model.longest[1])
    inputs, lengths = _some(model, 2, 0)
    others = _some(model, 5, 1)
    free = {0: "batch"} if _one_step(model) else {0: "batch", 1: "symbols"}
    with replacing(path) as temporary:
        with torch.no_grad(), warnings.catch_warnings():
            # It says that it is the old exporter, and that batches of other sizes may fail, which is checked below.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (inputs, lengths),
                str(temporary),
                input_names=["inputs", "lengths"],
                output_names=["answers"],
                dynamic_axes={"inputs": free, "lengths": {0: "batch"}},
                dynamo=False,  # torch.export would unroll a recurrent layer over the steps of this one input
            )
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_inputs()]
        given = dict(zip(("inputs", "lengths"), others, strict=True))
        found = session.run(None, {name: given[name].numpy() for name in names})[0]
        with torch.no_grad():
            expected = module(*others).numpy()
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise UserError(f"the exported network differs by {difference:.1e} from the run's: nothing was kept")
        with replacing(path.with_suffix(".json")) as about:
            about.write_text(json.dumps(_about(model), indent=1))
    return difference


def check_suffix(path: Path) -> None:
    """Raise UserError unless there is an export to such a file."""
    if path.suffix != ".onnx":
        raise UserError(f"{path}: sequence networks are exported to an .onnx file")


def _one_step(model: Model) -> bool:
    return model.shape in ("one_to_one", "one_to_many")


def _some(model: Model, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random inputs of different lengths, one of them the longest."""
    generator = torch.Generator().manual_seed(seed)
    longest = model.longest[0] if _one_step(model) else max(2, model.longest[0] - seed)
    tokens = torch.randint(END + 1, len(model.inputs), (count, longest), generator=generator)
    if _one_step(model):
        return tokens, torch.full((count,), longest)
    lengths = torch.cat([torch.tensor([longest]), torch.randint(1, longest + 1, (count - 1,), generator=generator)])
    return torch.where(torch.arange(longest) < lengths[:, None], tokens, PAD), lengths


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
