"""Export to ONNX or torch.export, checked against the original network."""

import importlib
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.files.durable import replacing

TOLERANCE = 1e-4
SUFFIXES = (".onnx", ".pt2")
TRACED_SUFFIXES = (".onnx",)


def export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    others: tuple[Tensor, ...],
    path: Path,
    dynamic_shapes: Any = None,
) -> float:
    """Write the forward pass of a module with one output as .onnx or .pt2; return its largest difference on `others`.

    inputs: on the CPU, at least 2 in every dimension that may vary. others: inputs of another size for the check.
    dynamic_shapes: as in torch.export; by default the first dimension of every input, the batch. Raises UserError for
    another suffix, a missing library or a difference above `TOLERANCE` of the largest output; an old file is kept.
    """
    check_suffix(path)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs) if dynamic_shapes is None else dynamic_shapes
    if path.suffix == ".onnx":
        _need("onnxruntime", "onnxscript")
    with torch.no_grad():
        program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    if path.suffix == ".onnx":
        return _checked(module, others, path, partial(_write_onnx, program), partial(_answers_of_onnx, others))
    return _checked(module, others, path, partial(torch.export.save, program), partial(_answers_of_torch, others))


def export_traced(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    others: Mapping[str, Tensor],
    path: Path,
    free: Mapping[str, Mapping[int, str]],
) -> float:
    """As `export` to .onnx for recurrent layers: each stays one operation, for any number of steps.

    inputs, others: by name, in the module's order. free: for each input the names of the dimensions that may vary.
    """
    check_suffix(path, TRACED_SUFFIXES)
    _need("onnxruntime", "onnx")

    def write(to: Path) -> None:
        with torch.no_grad(), warnings.catch_warnings():
            # Warnings about the old exporter, and about other batch sizes, which are checked here.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                str(to),
                input_names=list(inputs),
                output_names=["answers"],
                dynamic_axes={name: dict(axes) for name, axes in free.items()},
                dynamo=False,  # torch.export would unroll a recurrent layer over the steps of these inputs
            )

    return _checked(module, tuple(others.values()), path, write, partial(_answers_of_onnx, others))


def check_suffix(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise UserError for an unsupported suffix."""
    if path.suffix not in suffixes:
        raise UserError(f"{path}: export to a {' or a '.join(suffixes)} file")


def _checked(
    module: nn.Module,
    others: tuple[Tensor, ...],
    path: Path,
    write: Callable[[Path], None],
    answers: Callable[[Path], np.ndarray],
) -> float:
    with torch.no_grad():
        expected = module(*others).numpy()
    with replacing(path) as temporary:
        write(temporary)
        difference = float(np.abs(answers(temporary) - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise UserError(f"the exported network differs by {difference:.1e} from the run's: no file was written")
    return difference


def _need(*libraries: str) -> None:
    """Raise UserError for a missing library; torch's own message is long and comes late."""
    for library in libraries:
        try:
            importlib.import_module(library)
        except ImportError as error:
            raise UserError(f"ONNX needs {error.name}: pip install 'rivals-lab[export]'") from None


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    # Warnings about optional libraries and future versions.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(program, (), str(path), dynamo=True, external_data=False, verbose=False)


def _answers_of_onnx(inputs: tuple[Tensor, ...] | Mapping[str, Tensor], path: Path) -> np.ndarray:
    """Outputs of an ONNX file. Named inputs that the network does not use may be missing in the file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    given = inputs if isinstance(inputs, Mapping) else dict(zip(names, inputs, strict=True))
    return session.run(None, {name: given[name].numpy() for name in names})[0]


def _answers_of_torch(inputs: tuple[Tensor, ...], path: Path) -> np.ndarray:
    with torch.no_grad():
        return torch.export.load(str(path)).module()(*inputs).numpy()
