"""Export to ONNX or torch.export: named inputs and outputs, metadata, checked against the original network."""

import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab import __version__
from lab.errors import UserError
from lab.files.durable import replacing

TOLERANCE = 1e-4
SUFFIXES = (".onnx", ".pt2")
TRACED_SUFFIXES = (".onnx",)
METADATA_FILE = "metadata.json"
"""Name of a .pt2 file's metadata: torch.export.load(path, extra_files={METADATA_FILE: ""})."""

_TRACE = "stack_trace"  # key of a graph node: source lines with absolute paths of this machine
_PRODUCER = "rivals-lab"
Inputs = tuple[Tensor, ...] | Mapping[str, Tensor]


def export(
    module: nn.Module,
    inputs: Inputs,
    others: Inputs,
    path: Path,
    *,
    outputs: Sequence[str] = ("output",),
    metadata: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
    dynamic_shapes: tuple[Any, ...] | None = None,
) -> float:
    """Write the forward pass of a module as .onnx or .pt2; return its largest difference on `others`.

    inputs: on the CPU, in the order of the module's arguments, at least 2 in every dimension that may vary; a mapping
    names them in the file. others: inputs of another size for the check. outputs: names of the module's outputs, in
    order. metadata: what a user of the file must know (units, classes, columns): `metadata_props` of an ONNX file, a
    value that is no string as JSON, or `METADATA_FILE` in a .pt2 file. dynamic_shapes: as in torch.export, in the order
    of the inputs; by default the first dimension of every input, the batch. Raises UserError for another suffix, a
    missing library or an output that differs by more than `tolerance`, by default `TOLERANCE` of its largest value; an
    old file is kept.
    """
    check_suffix(path)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs) if dynamic_shapes is None else dynamic_shapes
    if path.suffix == ".onnx":
        _need("onnxruntime", "onnxscript")
    with torch.no_grad(), warnings.catch_warnings():
        # Of recurrent layers, whose list of weights is rebuilt while they are traced.
        warnings.filterwarnings("ignore", message=".*assigned during export", category=UserWarning)
        # The arguments of a variadic `forward` are one tuple to torch.export.
        variadic = any(own.kind is own.VAR_POSITIONAL for own in signature(module.forward).parameters.values())
        program = torch.export.export(module, _tensors(inputs), dynamic_shapes=(shapes,) if variadic else shapes)
    _forget_source(program.graph_module)
    described = _described(metadata)
    if path.suffix == ".onnx":
        names = list(inputs) if isinstance(inputs, Mapping) else None
        write: Callable[[Path], None] = partial(_write_onnx, program, shapes, names, outputs, described)
        return _checked(module, others, outputs, path, write, partial(_answers_of_onnx, others), tolerance)
    write = partial(_write_torch, program, described)
    return _checked(module, others, outputs, path, write, partial(_answers_of_torch, others), tolerance)


def export_traced(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    others: Mapping[str, Tensor],
    path: Path,
    free: Mapping[str, Mapping[int, str]],
    *,
    outputs: Sequence[str] = ("output",),
    metadata: Mapping[str, Any] | None = None,
) -> float:
    """As `export` to .onnx for recurrent layers: each stays one operation, for any number of steps.

    inputs, others: by name, in the module's order. free: for each input, or output, the names of the dimensions that
    may vary.
    """
    check_suffix(path, TRACED_SUFFIXES)
    _need("onnxruntime", "onnx")

    def write(to: Path) -> None:
        import onnx

        with torch.no_grad(), warnings.catch_warnings():
            # Warnings about the old exporter, and about other batch sizes, which are checked here.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                str(to),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={name: dict(axes) for name, axes in free.items()},
                dynamo=False,  # torch.export would unroll a recurrent layer over the steps of these inputs
            )
        model = onnx.load(str(to))
        model.producer_name, model.producer_version = _PRODUCER, __version__
        onnx.helper.set_model_props(model, _described(metadata))
        onnx.save(model, str(to))

    return _checked(module, others, outputs, path, write, partial(_answers_of_onnx, others))


def check_suffix(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise UserError for an unsupported suffix."""
    if path.suffix not in suffixes:
        raise UserError(f"{path}: export to a {' or a '.join(suffixes)} file")


def _checked(
    module: nn.Module,
    others: Inputs,
    outputs: Sequence[str],
    path: Path,
    write: Callable[[Path], None],
    answers: Callable[[Path], Iterable[np.ndarray]],
    tolerance: float | None = None,
) -> float:
    with torch.no_grad():
        expected = [value.numpy() for value in _several(module(*_tensors(others)))]
    differences = []
    with replacing(path) as temporary:
        write(temporary)
        for name, found, right in zip(outputs, answers(temporary), expected, strict=True):
            difference = float(np.abs(found - right).max())
            allowed = TOLERANCE * max(1.0, float(np.abs(right).max())) if tolerance is None else tolerance
            if not difference <= allowed:
                which = "" if len(outputs) == 1 else f"'s output {name!r}"
                raise UserError(
                    f"the exported network{which} differs by {difference:.1e} from the run's: no file was written"
                )
            differences.append(difference)
    return max(differences)


def _tensors(inputs: Inputs) -> tuple[Tensor, ...]:
    return tuple(inputs.values()) if isinstance(inputs, Mapping) else inputs


def _several(found: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [found] if isinstance(found, Tensor) else found


def _described(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata as strings, which is all that an ONNX file stores."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        for name, value in (metadata or {}).items()
    } | {"producer": _PRODUCER, "producer_version": __version__}


def _need(*libraries: str) -> None:
    """Raise UserError for a missing library; torch's own message is long and comes late."""
    for library in libraries:
        try:
            importlib.import_module(library)
        except ImportError as error:
            raise UserError(f"ONNX needs {error.name}: pip install 'rivals-lab[export]'") from None


def _forget_source(graph: torch.fx.GraphModule) -> None:
    """Remove the source lines of every node: they name files of this machine."""
    for part in graph.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                node.meta.pop(_TRACE, None)


def _write_onnx(
    program: torch.export.ExportedProgram,
    shapes: tuple[Any, ...],
    inputs: list[str] | None,
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    path: Path,
) -> None:
    # Warnings about optional libraries and future versions.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        written = torch.onnx.export(
            program,
            (),
            None,
            input_names=inputs,
            output_names=outputs,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert written is not None
    model = written.model
    _name_dimensions(model.graph, shapes)
    for node in _nodes(model):
        for key in [key for key in node.metadata_props if key.endswith(_TRACE)]:
            del node.metadata_props[key]
    model.producer_name, model.producer_version = _PRODUCER, __version__
    model.metadata_props.update(metadata)
    written.save(str(path), external_data=False)


def _name_dimensions(graph: Any, shapes: tuple[Any, ...]) -> None:
    """Give the symbols of torch.export, such as s17, the names of `shapes` in every value of the graph."""
    names = {
        str(value.shape[axis].value): dimension.__name__
        for value, axes in zip(graph.inputs, shapes, strict=True)
        for axis, dimension in (axes or {}).items()
    }
    for value in [*graph.inputs, *(output for node in graph for output in node.outputs)]:
        for axis, size in enumerate(value.shape or ()):
            if getattr(size, "value", None) in names:
                value.shape[axis] = names[size.value]


def _nodes(model: Any) -> Iterator[Any]:
    for graph in (model.graph, *model.functions.values()):
        yield from graph.all_nodes()


def _write_torch(program: torch.export.ExportedProgram, metadata: Mapping[str, str], path: Path) -> None:
    with warnings.catch_warnings():
        # Of weights that are views of one buffer, as of recurrent layers: torch stores what they need.
        warnings.filterwarnings("ignore", message="No complete tensor found", category=UserWarning)
        torch.export.save(program, path, extra_files={METADATA_FILE: json.dumps(metadata)})


def _answers_of_onnx(inputs: Inputs, path: Path) -> list[np.ndarray]:
    """Outputs of an ONNX file. Named inputs that the network does not use may be missing in the file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    given = inputs if isinstance(inputs, Mapping) else dict(zip(names, inputs, strict=True))
    return [np.asarray(value) for value in session.run(None, {name: given[name].numpy() for name in names})]


def _answers_of_torch(inputs: Inputs, path: Path) -> list[np.ndarray]:
    with torch.no_grad():
        return [value.numpy() for value in _several(torch.export.load(str(path)).module()(*_tensors(inputs)))]
