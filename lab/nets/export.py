"""A network outside this lab: ONNX or torch.export, checked against the network it came from."""

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
    """Write a module's forward, of one output, as .onnx or .pt2; returns the largest difference to it on `others`.

    inputs: at least two of everything that may vary, on the CPU. others: of another size there. dynamic_shapes: as
    torch.export takes them; the first dimension of every input, one batch, unless given. Raises UserError, leaving
    what was there, for another suffix, a missing library or a difference above `TOLERANCE` of the largest output.
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
    """As `export` for recurrent layers: each stays one operation, for any number of steps, in an .onnx file.

    inputs, others: by name, in the module's order. free: names of the dimensions of each that may vary.
    """
    check_suffix(path, TRACED_SUFFIXES)
    _need("onnxruntime", "onnx")

    def write(to: Path) -> None:
        with torch.no_grad(), warnings.catch_warnings():
            # It says that it is the old exporter, and that batches of other sizes may fail, which is checked.
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
    """Raise UserError unless there is an export to such a file."""
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
            raise UserError(f"the exported network differs by {difference:.1e} from the run's: nothing was kept")
    return difference


def _need(*libraries: str) -> None:
    """torch asks for some of them late, with a longer message."""
    for library in libraries:
        try:
            importlib.import_module(library)
        except ImportError as error:
            raise UserError(f"ONNX needs {error.name}: pip install 'rivals-lab[export]'") from None


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    # Of libraries that it could use and of its own future.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(program, (), str(path), dynamo=True, external_data=False, verbose=False)


def _answers_of_onnx(inputs: tuple[Tensor, ...] | Mapping[str, Tensor], path: Path) -> np.ndarray:
    """By their names, an input that the network does not look at may be missing from the file; else none is."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    given = inputs if isinstance(inputs, Mapping) else dict(zip(names, inputs, strict=True))
    return session.run(None, {name: given[name].numpy() for name in names})[0]


def _answers_of_torch(inputs: tuple[Tensor, ...], path: Path) -> np.ndarray:
    with torch.no_grad():
        return torch.export.load(str(path)).module()(*inputs).numpy()
