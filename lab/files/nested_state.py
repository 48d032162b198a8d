"""Nested state as JSON plus safetensors, without loss: the two data files of a checkpoint.

The state is dicts, lists, tuples (read back as lists), tensors, numpy arrays, int, float, str, bool and None.
In JSON a tensor is `{"$tensor": name}`, an array `{"$array": name}`, a float that JSON lacks
`{"$float": "nan"}`, and a dict whose keys are not all plain strings (an optimizer's state)
`{"$dict": [[key, value], ...]}`. Names are the path in the state joined by "/", escaped as in RFC 6901.
"""

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from lab.files.safetensors_header import header_bytes

_CHUNK_BYTES = 1 << 24
_DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.uint16: "U16",
    torch.int32: "I32",
    torch.uint32: "U32",
    torch.int64: "I64",
    torch.uint64: "U64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
}


class FormatError(ValueError):
    """JSON that `encode` did not write."""


class Writable(Protocol):
    """The part of a binary file that `write_tensors` uses."""

    def write(self, data: bytes | memoryview, /) -> Any: ...


def encode(state: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Split `state` into a JSON value and its tensors by name; tensors are referenced, not copied.

    Raises TypeError with the path for a value of any other type.
    """
    tensors: dict[str, torch.Tensor] = {}
    return _encode(state, "", tensors), tensors


def decode(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Rebuild the state from what `encode` returned; raises FormatError."""
    if isinstance(tree, list):
        return [decode(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) != 1 or not next(iter(tree)).startswith("$"):
        return {key: decode(value, tensors) for key, value in tree.items()}
    ((tag, value),) = tree.items()
    try:
        if tag == "$tensor":
            return tensors[value]
        if tag == "$array":
            return tensors[value].numpy()
        if tag == "$float":
            return float(value)
        if tag == "$dict":
            return {decode(key, tensors): decode(item, tensors) for key, item in value}
    except (KeyError, TypeError) as error:
        raise FormatError(f"{tag} {value!r} cannot be resolved: {error!r}") from error
    raise FormatError(f"unknown tag {tag}")


def write_tensors(file: Writable, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors in the safetensors format, one at a time.

    `safetensors.torch.save` first copies all of them to bytes, which doubles the memory.
    """
    # The format needs aligned data without gaps: sorting by item size, largest first, aligns every tensor.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {}
    offset = 0
    for name in order:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        shape = list(tensor.shape)
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": shape, "data_offsets": [offset, end]}
        offset = end
    file.write(header_bytes(header))
    for name in order:
        if tensors[name].numel():
            data = _bytes(tensors[name])
            for start in range(0, len(data), _CHUNK_BYTES):
                file.write(data[start : start + _CHUNK_BYTES])


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file into memory; the tensors do not depend on the file afterwards."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FormatError(str(error)) from error


def _encode(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, torch.Tensor):
        return {"$tensor": _store(value.detach(), path, tensors)}
    if isinstance(value, np.ndarray):
        return {"$array": _store(_from_numpy(value, path), path, tensors)}
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = value.item()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list | tuple):
        return [_encode(item, _join(path, index), tensors) for index, item in enumerate(value)]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _encode(item, _join(path, key), tensors) for key, item in value.items()}
        items = value.items()
        return {"$dict": [[_key(key, path), _encode(item, _join(path, key), tensors)] for key, item in items]}
    raise _unsupported(path, type(value).__name__)


def _key(key: Any, path: str) -> Any:
    if key is None or isinstance(key, str | int | float):
        return key
    raise _unsupported(path, f"dict with a key of type {type(key).__name__}")


def _unsupported(path: str, what: str) -> TypeError:
    return TypeError(f"the state at {path or 'the top'} is a {what}, which a checkpoint cannot hold")


def _join(path: str, key: Any) -> str:
    part = str(key).replace("~", "~0").replace("/", "~1")
    return f"{path}/{part}" if path else part


def _store(tensor: torch.Tensor, path: str, tensors: dict[str, torch.Tensor]) -> str:
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided:
        raise _unsupported(path, f"{tensor.layout} tensor of {tensor.dtype}")
    name = path
    # The name is taken if a dict has the keys 0 and "0", or if the format reserves it.
    while name in tensors or name in ("", "__metadata__"):
        name += "~"
    tensors[name] = tensor
    return name


def _from_numpy(array: np.ndarray, path: str) -> torch.Tensor:
    try:
        # A read-only or reversed array is copied: torch takes neither.
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).reshape(array.shape)
    except TypeError as error:
        raise _unsupported(path, f"array of {array.dtype}") from error


def _bytes(tensor: torch.Tensor) -> memoryview:
    flat = tensor.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())  # type: ignore[arg-type]
