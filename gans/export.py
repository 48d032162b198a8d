"""The generator outside this lab: ONNX or torch.export, checked against the network it came from."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gans.files import replacing
from gans.model import Sampler
from gans.sampling import latents_of
from lab.errors import UserError

TOLERANCE = 1e-4


class _AtStage(nn.Module):
    """The generator with its stage fixed."""

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self.generator, self._stage = sampler.generator, sampler.stage
        self._conditional = bool(sampler.config.network.classes)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator(latents, self._stage.level, self._stage.alpha, labels if self._conditional else None)


def export(sampler: Sampler, path: Path) -> float:
    """Write .onnx or .pt2 with a free batch size; returns the largest difference to the network on other latents.

    Raises UserError, leaving what was there, for another suffix, a missing library or a difference above `TOLERANCE`.
    """
    check_suffix(path)
    module = _AtStage(sampler).eval()
    classes = sampler.config.network.classes
    inputs: tuple[Tensor, ...] = (latents_of(sampler, range(2), 0),)
    others: tuple[Tensor, ...] = (latents_of(sampler, range(2, 7), 0),)
    if classes:
        inputs, others = (*inputs, torch.arange(2) % classes), (*others, torch.arange(5) % classes)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs)
    with torch.no_grad():
        expected = module(*others).numpy()
        program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    with replacing(path) as temporary:
        found = (_onnx if path.suffix == ".onnx" else _torch)(program, temporary, others)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise UserError(f"the exported network differs by {difference:.1e} from the run's: nothing was kept")
    return difference


def check_suffix(path: Path) -> None:
    """Raise UserError unless there is an export to such a file."""
    if path.suffix not in (".onnx", ".pt2"):
        raise UserError(f"{path}: export to a .onnx or a .pt2 file")


def _onnx(program: torch.export.ExportedProgram, path: Path, inputs: tuple[Tensor, ...]) -> np.ndarray:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch asks for it late, with a longer message
    except ImportError as error:
        raise UserError(f"ONNX needs {error.name}: pip install 'rivals-lab[export]'") from None
    torch.onnx.export(program, (), str(path), dynamo=True, external_data=False, verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})[0]


def _torch(program: torch.export.ExportedProgram, path: Path, inputs: tuple[Tensor, ...]) -> np.ndarray:
    torch.export.save(program, str(path))
    with torch.no_grad():
        return torch.export.load(str(path)).module()(*inputs).numpy()
