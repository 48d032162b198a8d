"""A network outside this lab: ONNX or torch.export, checked against the network it came from."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.disk import replacing
from lab.errors import UserError

TOLERANCE = 1e-4


def export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    others: tuple[Tensor, ...],
    path: Path,
    dynamic_shapes: Any = None,
) -> float:
    """Write a module's forward, of one output, as .onnx or .pt2; returns the largest difference to it on `others`.

    inputs: at least two of everything that may vary, on the CPU. others: of another size there. dynamic_shapes: as
    torch.export takes them; the first dimension of every input, one batch, unless given. Raises UserError, leaving
    what was there, for another suffix, a missing library or a difference above `TOLERANCE` of the largest output.
    """
    check_suffix(path)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs) if dynamic_shapes is None else dynamic_shapes
    with torch.no_grad():
        expected = module(*others).numpy()
        program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    with replacing(path) as temporary:
        found = (_onnx if path.suffix == ".onnx" else _torch)(program, temporary, others)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
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
    # Of libraries that it could use and of its own future.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(program, (), str(path), dynamo=True, external_data=False, verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})[0]


def _torch(program: torch.export.ExportedProgram, path: Path, inputs: tuple[Tensor, ...]) -> np.ndarray:
    torch.export.save(program, str(path))
    with torch.no_grad():
        return torch.export.load(str(path)).module()(*inputs).numpy()
